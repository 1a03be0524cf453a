"""Captions parsed by hand, so that the rules are tested without a model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import spacy
from spacy.tokens import Doc

Parsed = Callable[[str], Doc]


@pytest.fixture(scope="session")
def parsed() -> Parsed:
    """A Doc of "word/TAG/dep/head" items, head counted from 0; the part of speech follows from the tag.

    "_" before an item: no space before it in the text.
    """
    vocab = spacy.blank("en").vocab
    parts = {"N": "NOUN", "V": "VERB", "D": "DET", "I": "ADP", "J": "ADJ", "C": "NUM", "W": "PRON", "P": "PRON"}

    def build(items: str) -> Doc:
        rows = [item.rsplit("/", 3) for item in items.split()]
        tags = [tag for _, tag, _, _ in rows]
        pos = ["PUNCT" if not tag[0].isalpha() else "CCONJ" if tag == "CC" else parts[tag[0]] for tag in tags]
        glued = [row[0].startswith("_") for row in rows]
        return Doc(
            vocab,
            words=[row[0].removeprefix("_") for row in rows],
            spaces=[not after for after in glued[1:]] + [False],
            tags=tags,
            pos=pos,
            deps=[row[2] for row in rows],
            heads=[int(row[3]) for row in rows],
        )

    return build
