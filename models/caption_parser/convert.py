"""Universal Dependencies (English, CoNLL-U) -> the CLEAR labels of spaCy's `en_core_web_*` pipelines.

In UD the content word is the head; in CLEAR (Choi and Palmer 2012, "Guidelines for the Clear Style Constituent to
Dependency Conversion") the function word is: a preposition stands above its noun (prep, pobj), a copula above its
predicate (attr, acomp), and conjuncts form a chain. spaCy's English `noun_chunks` reads these labels.

Every step lifts one word above its head or hands a word over to a neighbour, so a tree stays a tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tree import ROOT, Token, Tree, check

NOMINAL = frozenset({"NOUN", "PROPN", "PRON", "NUM", "SYM"})
SUBJECTS = ("nsubj", "nsubj:pass", "nsubj:outer", "csubj", "csubj:outer", "csubj:pass")
CLAUSE_MARKERS = frozenset(
    """
        while when if as because though although whereas that whether to unless until once where whilst so like
    """.split()
)
"""Words that stay the mark of a clause, where others ("by", "without") become prepositions of a gerund."""

LABELS = {
    "nsubj": "nsubj", "nsubj:pass": "nsubjpass", "csubj": "csubj", "csubj:pass": "csubjpass",
    "obj": "dobj", "iobj": "dative", "xcomp": "xcomp", "ccomp": "ccomp", "expl": "expl",
    "aux": "aux", "aux:pass": "auxpass", "advcl": "advcl", "advcl:relcl": "relcl", "acl": "acl", "acl:relcl": "relcl",
    "amod": "amod", "appos": "appos", "det": "det", "det:predet": "predet", "nummod": "nummod",
    "compound": "compound", "compound:prt": "prt", "flat": "compound", "nmod:desc": "compound", "fixed": "advmod",
    "nmod": "nmod", "nmod:poss": "poss", "nmod:unmarked": "npadvmod", "obl": "npadvmod", "obl:agent": "agent",
    "advmod": "advmod", "mark": "mark", "cc": "cc", "cc:preconj": "preconj", "conj": "conj",
    "discourse": "intj", "vocative": "npadvmod", "parataxis": "parataxis", "punct": "punct",
}  # fmt: skip
"""UD relation -> CLEAR label, for words whose head and company decide nothing; the rest is "dep"."""


@dataclass(eq=False)
class Word:
    """A word on its way: `label` is empty until a step has decided it, `preposition` is the one now above it."""

    index: int
    form: str
    lemma: str
    upos: str
    xpos: str
    head: Word | None
    relation: str
    space: bool
    label: str = ""
    preposition: Word | None = None


def read_conllu(path: Path) -> Iterator[list[Word]]:
    """The sentences of a CoNLL-U file, in order."""
    rows: list[list[str]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                if not line.startswith("#"):
                    rows.append(line.rstrip("\n").split("\t"))
            elif rows:
                yield parse_rows(rows)
                rows = []
    if rows:
        yield parse_rows(rows)


def parse_rows(rows: Iterable[list[str]]) -> list[Word]:
    """One sentence from its ten-column rows; empty nodes are left out, the parts of a contraction are not spaced."""
    words: list[Word] = []
    heads: list[int] = []
    last_part, space_after_parts = 0, True
    for number, form, lemma, upos, xpos, _, head, relation, _, misc in rows:
        space = "SpaceAfter=No" not in misc
        if "-" in number:
            last_part, space_after_parts = int(number.split("-")[1]), space
        elif "." not in number:
            if int(number) <= last_part:
                space = int(number) == last_part and space_after_parts
            tag = xpos if xpos != "_" else "XX"
            words.append(Word(int(number) - 1, form, lemma.lower(), upos, tag, None, relation, space))
            heads.append(int(head) - 1)
    for word, head_index in zip(words, heads, strict=True):
        word.head = words[head_index] if head_index != ROOT else None
    return words


def to_clear(words: list[Word]) -> Tree:
    """The CLEAR tree of a UD sentence; the words are used up on the way."""
    for word in words:
        _head_names_by_their_last_word(words, word)
    for word in words:
        _chain_conjuncts(words, word)
    for word in words:
        _lift_copula(words, word)
    for word in words:
        _lift_prepositions(words, word)
    for word in words:
        if not word.label:
            word.label = _label(words, word)
    for word in words:
        _make_gerund_a_complement(words, word)
    for word in words:
        if word.head is None:
            word.label = "ROOT"
    tree = [Token(w.form, w.xpos, ROOT if w.head is None else w.head.index, w.label, w.space) for w in words]
    check(tree)
    return tree


def _children(words: list[Word], head: Word, *relations: str) -> list[Word]:
    return [word for word in words if word.head is head and (not relations or word.relation in relations)]


def _head_names_by_their_last_word(words: list[Word], first: Word) -> None:
    """ "George Bush": UD heads a flat name by its first word, CLEAR by its last."""
    parts = _children(words, first, "flat", "flat:foreign")
    if not parts or first.upos != "PROPN" or parts[-1].index < first.index:
        return
    last = parts[-1]
    last.head, last.relation = first.head, first.relation
    for child in _children(words, first):
        if child is not last:
            child.head = last
    for part in [first, *parts[:-1]]:
        part.head, part.relation, part.label = last, "compound", "compound"


def _chain_conjuncts(words: list[Word], first: Word) -> None:
    """ "a, b and c": b hangs on a and c on b, each comma and conjunction on the conjunct before it."""
    previous = first
    for conjunct in [word for word in _children(words, first, "conj") if word.index > first.index]:
        conjunct.head = previous
        for link in _children(words, conjunct, "cc", "punct"):
            separates = link.relation == "cc" or link.form in {",", ";", "/", "&"}
            opens = all(child.index >= link.index for child in _children(words, conjunct))
            if link.index < conjunct.index and separates and (link.relation == "cc" or opens):
                link.head = previous
        previous = conjunct


def _lift_copula(words: list[Word], predicate: Word) -> None:
    """ "the dog is black": "is" becomes the head, takes the clause's dependents and leaves the predicate its own."""
    copulas = _children(words, predicate, "cop")
    if not copulas:
        return
    copula = copulas[0]
    copula.head, copula.relation = predicate.head, predicate.relation
    moved = [
        child
        for child in _children(words, predicate)
        if child is not copula and _belongs_to_clause(words, child, copula, predicate)
    ]
    for child in moved:
        child.head = copula
    predicate.head, predicate.relation = copula, "predicate"
    if not predicate.label:
        predicate.label = {"ADJ": "acomp", "ADV": "advmod", "VERB": "ccomp", "AUX": "ccomp"}.get(predicate.upos, "attr")


def _belongs_to_clause(words: list[Word], child: Word, copula: Word, predicate: Word) -> bool:
    """Whether a dependent of the predicate is one of the whole clause, and so of the copula."""
    relation, before_copula, after = child.relation, child.index < copula.index, child.index > predicate.index
    siblings = _children(words, predicate)
    nominal = predicate.upos in NOMINAL
    in_phrase = any(sibling.relation == "case" for sibling in siblings)
    if relation in SUBJECTS or relation in ("aux", "expl", "mark", "parataxis", "discourse", "vocative", "dislocated"):
        return True
    if relation in ("advcl", "cop"):
        return True
    if relation == "punct":
        modifiers = ("conj", "appos", "acl", "acl:relcl", "nmod")
        return before_copula or (after and not any(s.index > child.index and s.relation in modifiers for s in siblings))
    if relation == "advmod":
        parts = ("det", "amod", "nummod", "nmod:poss", "compound")
        start = min([s.index for s in siblings if s.relation in parts] + [predicate.index])
        opens_phrase = nominal and not in_phrase and child.index < start
        return before_copula or child.lemma in ("not", "n't") or opens_phrase or (nominal and after)
    if relation in ("obl", "obl:unmarked", "nmod:unmarked"):
        return before_copula or nominal or in_phrase
    if relation == "cc":
        conjuncts = [s for s in siblings if s.relation == "conj"]
        return before_copula or (bool(conjuncts) and bool(_children(words, conjuncts[0], "nsubj", "cop")))
    if relation == "conj":
        return child.upos == "VERB" or bool(_children(words, child, "nsubj", "cop", "nsubj:pass"))
    return relation == "ccomp" and before_copula


def _lift_prepositions(words: list[Word], noun: Word) -> None:
    """ "in the park": "in" takes the noun's place and the noun hangs on it; "out of the park" makes a chain."""
    cases = [child for child in _children(words, noun, "case") if child.xpos != "POS"]
    if not cases:
        return
    chain = [part for case in cases for part in (case, *_children(words, case, "fixed"))]
    if chain[0].index > noun.index:  # "two years ago"
        for part in chain:
            part.label = "prep"
        return
    top, old_relation = chain[0], noun.relation
    top.head, top.relation = noun.head, "conj" if old_relation == "conj" else "preposition"
    top.label = {"obl:agent": "agent", "conj": "conj"}.get(old_relation, "prep")
    if old_relation == "conj" and noun.head is not None and noun.head.preposition is not None:
        top.head = noun.head.preposition
    if len(chain) > 1 and top.xpos in ("JJ", "RB") and top.label == "prep":  # "next to"
        top.label = "advmod"
    last = top
    for part in chain[1:]:
        part.head, part.relation = last, "preposition"
        part.label = "advmod" if part.xpos == "RB" and part is not chain[-1] else "prep"
        last = part
    noun.label = _label_below_preposition(words, noun, last)
    noun.head, noun.relation, noun.preposition = last, "complement", top
    adjuncts = ("advmod", "cc", "cc:preconj", "punct", "discourse", "obl:unmarked", "nmod:unmarked", "mark", "nsubj")
    for child in _children(words, noun):
        opens = child.index < top.index and child.relation in (*adjuncts, "advcl", "parataxis")
        if opens or (child.relation == "punct" and old_relation == "root"):
            child.head = top


def _label_below_preposition(words: list[Word], noun: Word, preposition: Word) -> str:
    bare = not _children(words, noun, "det")
    if noun.upos == "ADV" and bare:
        return "pcomp"
    if noun.upos == "ADJ" and bare:
        return "pobj" if preposition.lemma in ("than", "like") else "amod"
    return "pcomp" if noun.upos in ("VERB", "AUX") else "pobj"


def _label(words: list[Word], word: Word) -> str:
    """The label of a word that no step has decided."""
    relation, head = word.relation, word.head
    if head is None:
        return "ROOT"
    if relation == "case":
        return "case" if word.xpos == "POS" else "prep"
    if relation == "cop":
        return "aux"
    if relation == "mark" and word.upos == "PART":
        return "aux"
    if relation == "nummod" and word.upos == "SYM":
        return "nmod"
    if relation == "advmod":
        if word.lemma in ("not", "n't", "never"):
            return "neg"
        below = any(child.label in ("pobj", "pcomp") for child in _children(words, word))
        return "prep" if word.upos == "ADP" and below else "advmod"
    if relation == "xcomp" and (word.upos == "ADJ" or (word.upos in NOMINAL and not _children(words, word, "mark"))):
        if _children(words, head, "obj"):
            return "oprd"
        return "acomp" if word.upos == "ADJ" else "attr"
    if relation == "nsubj" and head.lemma == "be" and word.index > head.index:
        if any(child.index < word.index for child in _children(words, head, "expl")):
            return "attr"
    return LABELS.get(relation) or LABELS.get(relation.split(":")[0], "dep")


def _make_gerund_a_complement(words: list[Word], marker: Word) -> None:
    """ "by doing", "without wearing": UD's mark over a gerund is CLEAR's preposition with a pcomp."""
    gerund = marker.head
    if gerund is None or marker.relation != "mark" or marker.xpos != "IN" or marker.lemma in CLAUSE_MARKERS:
        return
    follows = gerund.xpos == "VBG" and marker.index < gerund.index and gerund.label in ("advcl", "acl")
    if follows and not _children(words, gerund, *SUBJECTS):
        marker.head, marker.label, marker.relation = gerund.head, "prep", "preposition"
        gerund.head, gerund.label, gerund.relation = marker, "pcomp", "complement"
