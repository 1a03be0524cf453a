"""Captions parsed by hand, so that the rules are tested without a model; detectors with random weights; photos."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny detector of random weights, by its `model_type`; saved when it is first asked for."""
    from tests.tiny_detectors import save_detector  # torch is not loaded for those who ask for none

    return cache(lambda kind: save_detector(kind, tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Real photos, small ones of scikit-image's, as it ships them: PNG and JPEG, colour and grey, lying and square."""
    pytest.importorskip("skimage", reason="the photos come with scikit-image: pip install gristmill[demo]")
    folder = Path(str(files("skimage") / "data"))
    names = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "camera.png")
    return [(folder / name).read_bytes() for name in names]
