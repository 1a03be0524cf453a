"""The training corpus: treebank, fragments of it that look like captions, and synthetic captions.

Captions are often lower case, without a final stop, and no sentences at all; the treebank is none of that. So every
source is also shown in those clothes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from convert import read_conllu, to_clear
from grammar import CaptionGrammar
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from tree import ROOT, Token, Tree, pick, subtree

NOUN_TAGS = ("NN", "NNS", "NNP", "NNPS")
ARGUMENTS = ("nsubj", "dobj", "pobj", "attr", "nsubjpass")
FORMS_OF_BE = ("is", "are", "was", "were", "'s", "'re")


@dataclass(frozen=True)
class Mix:
    """How much of what; the shares are probabilities."""

    fragments: int = 9_000
    captions: int = 14_000
    single_sentences: float = 0.55
    lower_case_treebank: float = 0.15
    lower_case_captions: float = 0.35
    upper_case: float = 0.02
    no_final_stop: float = 0.35
    double_space: float = 0.02
    two_captions: float = 0.12


def treebank(folder: Path, part: str) -> list[Tree]:
    """The converted sentences of the one file `*<part>.conllu` in `folder`."""
    found = sorted(folder.glob(f"*{part}.conllu"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{folder}: expected one *{part}.conllu, found {len(found)}; clone UD_English-EWT there"
        )
    return [to_clear(words) for words in read_conllu(found[0])]


def training_documents(sentences: list[Tree], rng: random.Random, mix: Mix) -> list[list[Tree]]:
    """All documents, each a list of trees, shuffled."""
    documents = [_dress_treebank(group, rng, mix) for group in _groups(sentences, rng, mix.single_sentences)]
    fragments = [fragment for sentence in sentences for fragment in caption_like_fragments(sentence)]
    rng.shuffle(fragments)
    documents += [[_dress_caption(fragment, rng, mix)] for fragment in fragments[: mix.fragments]]
    grammar = CaptionGrammar(rng)
    captions = [_dress_caption(grammar.caption(), rng, mix) for _ in range(mix.captions)]
    for caption in captions:
        documents.append([caption, rng.choice(captions)] if rng.random() < mix.two_captions else [caption])
    rng.shuffle(documents)
    return documents


def caption_like_fragments(sentence: Tree) -> Iterator[Tree]:
    """Noun phrases with something after their noun, and "X is V-ing" as "X V-ing"."""
    for index, token in enumerate(sentence):
        if token.tag in NOUN_TAGS and token.label in ARGUMENTS:
            phrase = _noun_phrase(sentence, index)
        elif token.label == "ROOT" and token.tag in ("VBG", "VBN"):
            phrase = _clause_as_title(sentence, index)
        else:
            phrase = None
        if phrase:
            yield phrase


def _noun_phrase(sentence: Tree, noun: int) -> Tree | None:
    span = subtree(sentence, noun)
    contiguous = span[-1] - span[0] + 1 == len(span)
    clean_edges = "punct" not in (sentence[span[0]].label, sentence[span[-1]].label)
    if 4 <= len(span) <= 25 and contiguous and clean_edges and span[-1] > noun:
        return pick(sentence, span)
    return None


def _clause_as_title(sentence: Tree, verb: int) -> Tree | None:
    """ "The dog is chasing a ball" -> "The dog chasing a ball", with the dog as root."""
    before = [index for index in range(verb) if sentence[index].head == verb]
    subjects = [i for i in before if sentence[i].label in ("nsubj", "nsubjpass") and sentence[i].tag in NOUN_TAGS]
    auxiliaries = [i for i in before if sentence[i].label in ("aux", "auxpass")]
    if len(subjects) != 1 or len(auxiliaries) != 1 or sentence[auxiliaries[0]].text.lower() not in FORMS_OF_BE:
        return None
    subject = subjects[0]
    left_out = {auxiliaries[0]}
    for index in before:
        if index < subject:
            left_out.update(subtree(sentence, index))
    turned = list(sentence)
    turned[subject] = replace(turned[subject], head=ROOT)
    turned[verb] = replace(turned[verb], head=subject, label="acl")
    return pick(turned, [index for index in subtree(sentence, verb) if index not in left_out])


def _groups(sentences: list[Tree], rng: random.Random, single: float) -> Iterator[list[Tree]]:
    """Consecutive sentences, one to four in a document."""
    start = 0
    while start < len(sentences):
        size = 1 if rng.random() < single else rng.randint(2, 4)
        yield sentences[start : start + size]
        start += size


def _dress_treebank(group: list[Tree], rng: random.Random, mix: Mix) -> list[Tree]:
    group = list(group)
    if rng.random() < mix.no_final_stop:
        group[-1] = _without_final_stop(group[-1])
    if rng.random() < mix.lower_case_treebank:
        group = [_lower(tree) for tree in group]
    elif rng.random() < mix.upper_case:
        group = [_upper(tree) for tree in group]
    return group


def _dress_caption(tree: Tree, rng: random.Random, mix: Mix) -> Tree:
    """A caption as people type it: with or without a capital, a final stop, a double space."""
    if rng.random() > mix.no_final_stop:
        root = next(index for index, token in enumerate(tree) if token.head == ROOT)
        tree = [*tree[:-1], replace(tree[-1], space=False), Token(".", ".", root, "punct")]
    if rng.random() < mix.upper_case:
        tree = _upper(tree)
    elif rng.random() < mix.lower_case_captions:
        tree = _lower(tree)
    else:
        tree = [replace(tree[0], text=tree[0].text[0].upper() + tree[0].text[1:]), *tree[1:]]
    if rng.random() < mix.double_space:
        tree = _with_double_space(tree, rng.randrange(len(tree)))
    return tree


def _without_final_stop(tree: Tree) -> Tree:
    last = len(tree) - 1
    if last > 1 and tree[last].tag == "." and all(token.head != last for token in tree):
        return pick(tree, range(last)) or tree
    return tree


def _lower(tree: Tree) -> Tree:
    return [replace(token, text=token.text.lower()) for token in tree]


def _upper(tree: Tree) -> Tree:
    return [replace(token, text=token.text.upper()) for token in tree]


def _with_double_space(tree: Tree, after: int) -> Tree:
    """spaCy makes a token of the second space; it hangs on the word before it."""
    if not tree[after].space or after == len(tree) - 1:
        return tree
    shifted = [replace(token, head=token.head + (token.head > after)) for token in tree]
    return [*shifted[: after + 1], Token(" ", "_SP", after, "dep", space=False), *shifted[after + 1 :]]


def to_doc(trees: list[Tree], vocab: Vocab) -> Doc:
    """The gold document of one or more sentences."""
    words: list[str] = []
    spaces: list[bool] = []
    tags: list[str] = []
    heads: list[int] = []
    labels: list[str] = []
    for tree in trees:
        first = len(words)
        words += [token.text for token in tree]
        spaces += [token.space for token in tree[:-1]] + [True]
        tags += [token.tag for token in tree]
        heads += [first + (index if token.head == ROOT else token.head) for index, token in enumerate(tree)]
        labels += [token.label for token in tree]
    spaces[-1] = False
    return Doc(vocab, words=words, spaces=spaces, tags=tags, heads=heads, deps=labels)


def save(documents: list[list[Tree]], vocab: Vocab, path: Path) -> None:
    """Write documents in spaCy's binary format."""
    docs = (to_doc(trees, vocab) for trees in documents)
    DocBin(attrs=["TAG", "HEAD", "DEP", "SENT_START"], docs=docs).to_disk(path)
