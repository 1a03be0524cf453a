"""A dependency tree as a list of tokens, the common tongue of the converter, the grammar and the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

ROOT = -1
"""The head of the token that has none."""

SUBJECT_OR_OBJECT = ("nsubj", "nsubjpass", "dobj", "pobj", "attr", "ROOT", "conj", "dative")

POS_OF_TAG = {
    "NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "NNPS": "PROPN",
    "PRP": "PRON", "PRP$": "PRON", "WP": "PRON", "WP$": "PRON", "WDT": "PRON", "EX": "PRON",
    "DT": "DET", "PDT": "DET", "CD": "NUM", "JJ": "ADJ", "JJR": "ADJ", "JJS": "ADJ", "AFX": "ADJ",
    "RB": "ADV", "RBR": "ADV", "RBS": "ADV", "WRB": "ADV", "IN": "ADP", "RP": "ADP", "TO": "PART", "POS": "PART",
    "VB": "VERB", "VBD": "VERB", "VBG": "VERB", "VBN": "VERB", "VBP": "VERB", "VBZ": "VERB", "MD": "AUX",
    "CC": "CCONJ", "UH": "INTJ", "FW": "X", "LS": "X", "XX": "X", "ADD": "X", "GW": "X",
    "SYM": "SYM", "$": "SYM", "#": "SYM", ".": "PUNCT", ",": "PUNCT", ":": "PUNCT", "``": "PUNCT", "''": "PUNCT",
    "-LRB-": "PUNCT", "-RRB-": "PUNCT", "HYPH": "PUNCT", "NFP": "PUNCT", "_SP": "SPACE",
}  # fmt: skip
"""Penn Treebank tag -> Universal part of speech, before the dependency label is looked at."""


@dataclass(frozen=True)
class Token:
    """One word of a tree: `head` is an index into the same tree, or ROOT; `label` is a CLEAR dependency label."""

    text: str
    tag: str
    head: int
    label: str
    space: bool = True


Tree = list[Token]


def check(tree: Tree) -> None:
    """Raise ValueError unless `tree` has exactly one root, labelled ROOT, that every token leads to."""
    roots = [token for token in tree if token.head == ROOT]
    if len(roots) != 1 or roots[0].label != "ROOT":
        raise ValueError(f"{len(roots)} roots, labelled {[root.label for root in roots]}")
    for start in range(len(tree)):
        at, steps = start, 0
        while at != ROOT:
            at, steps = tree[at].head, steps + 1
            if steps > len(tree):
                raise ValueError(f"token {start} ({tree[start].text!r}) hangs in a cycle")


def subtree(tree: Tree, top: int) -> list[int]:
    """The indexes of `top` and of all that hangs below it, in order."""
    below: dict[int, list[int]] = {}
    for index, token in enumerate(tree):
        below.setdefault(token.head, []).append(index)
    found, pending = [], [top]
    while pending:
        index = pending.pop()
        found.append(index)
        pending += below.get(index, [])
    return sorted(found)


def pick(tree: Tree, keep: Iterable[int]) -> Tree | None:
    """The tokens `keep` as a tree of their own, or None where they do not hang together."""
    kept = sorted(keep)
    place = {old: new for new, old in enumerate(kept)}
    picked = [replace(tree[old], head=place.get(tree[old].head, ROOT)) for old in kept]
    roots = [index for index, token in enumerate(picked) if token.head == ROOT]
    if len(roots) != 1:
        return None
    picked[roots[0]] = replace(picked[roots[0]], label="ROOT")
    return picked
