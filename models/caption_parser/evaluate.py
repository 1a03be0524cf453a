"""How good is a caption parser: `python models/caption_parser/evaluate.py GOLD... [--pipeline DIR] [--dev CONLLU]`.

A gold file holds captions, each followed by indented lines: its noun chunks, then one or more accepted sets of
referring expressions. `*` is the whole caption, `?` before an item makes it optional. A caption counts as right only
where every chunk (every expression) is right. Chunks and expressions follow `builders/grounding/expressions.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import spacy
from corpus import to_doc
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

HERE = Path(__file__).resolve().parent
REPOSITORY = str(HERE.parents[1])
if REPOSITORY not in sys.path:
    sys.path.append(REPOSITORY)

from convert import read_conllu, to_clear  # noqa: E402

from builders.grounding.expressions import chunk_drop_reason, expand, noun_chunks, uncontained  # noqa: E402

DEVELOPMENT = ("gold40.txt", "gold_coco.txt", "gold_coco_dev.txt", "gold_web_dev.txt")
"""The gold files that may be read while the parser is mended; the other two are for tests."""


@dataclass(frozen=True)
class Items:
    """Texts that must be found, and texts that may be."""

    required: Counter[str]
    optional: Counter[str]

    def accept(self, found: Iterable[str]) -> bool:
        """Whether `found` holds all that is required and nothing that is neither."""
        counted = Counter(found)
        return self.required <= counted <= self.required + self.optional


@dataclass
class Gold:
    """A caption with its noun chunks and the accepted sets of expressions."""

    caption: str
    chunks: Items
    expressions: list[Items] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """Captions with everything right, and what was found where it was not."""

    captions: int
    chunks_right: int
    expressions_right: int
    wrong: list[str]


def read_gold(path: Path) -> Iterator[Gold]:
    """The captions of a gold file, in order."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        caption = lines[0].strip()
        sets = [_items(line.partition(":")[2], caption) for line in lines[1:]]
        yield Gold(caption, sets[0], sets[1:])


def _items(line: str, caption: str) -> Items:
    found = [text.strip() for text in line.split("|")]
    required = [_whole(caption) if text == "*" else text for text in found if not text.startswith("?")]
    return Items(Counter(required), Counter(text[1:] for text in found if text.startswith("?")))


def _whole(caption: str) -> str:
    return caption.rstrip(" .")


def kept_chunks(doc: Doc) -> list[Span]:
    """The noun chunks that a box could hold."""
    return [chunk for chunk in noun_chunks(doc) if chunk_drop_reason(chunk) is None]


def expressions(doc: Doc) -> list[str]:
    """The texts of the referring expressions that lie in no other."""
    return [doc.text[start:end] for start, end in uncontained(expand(chunk) for chunk in kept_chunks(doc))]


def score_captions(nlp: Language, golds: Iterable[Gold]) -> Score:
    """Parse every caption and compare."""
    captions = chunks_right = expressions_right = 0
    wrong: list[str] = []
    for gold in golds:
        doc = nlp(gold.caption)
        chunks, found = [chunk.text for chunk in kept_chunks(doc)], [_whole(text) for text in expressions(doc)]
        chunks_fit, expressions_fit = gold.chunks.accept(chunks), any(s.accept(found) for s in gold.expressions)
        captions, chunks_right = captions + 1, chunks_right + chunks_fit
        expressions_right += expressions_fit
        if not chunks_fit:
            wrong.append(f"{gold.caption}\n    chunks: {' | '.join(chunks)}")
        elif not expressions_fit:
            wrong.append(f"{gold.caption}\n    expressions: {' | '.join(found)}")
    return Score(captions, chunks_right, expressions_right, wrong)


def score_treebank(nlp: Language, path: Path) -> dict[str, float]:
    """Tag accuracy and attachment scores on a converted treebank, each sentence parsed from its raw text."""
    golds = [to_doc([to_clear(words)], nlp.vocab) for words in read_conllu(path)]
    scores = nlp.evaluate([Example(nlp.make_doc(gold.text), gold) for gold in golds])
    return {name: round(scores[name], 3) for name in ("tag_acc", "dep_uas", "dep_las")}


def main() -> None:
    """Parse the command line, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", type=Path, nargs="*", default=[HERE / name for name in DEVELOPMENT])
    parser.add_argument("--pipeline", type=Path, default=HERE / "pipeline")
    parser.add_argument("--dev", type=Path, help="a UD English .conllu file that was not trained on")
    parser.add_argument("--wrong", action="store_true", help="show what was found where it is wrong")
    arguments = parser.parse_args()
    nlp = spacy.load(arguments.pipeline)
    for path in arguments.gold:
        score = score_captions(nlp, read_gold(path))
        print(f"{path.name}: {score.captions} captions, every chunk right in {score.chunks_right},", end=" ")
        print(f"every expression in {score.expressions_right}")
        if arguments.wrong:
            print("\n".join(score.wrong))
    if arguments.dev:
        print(f"{arguments.dev.name}: {score_treebank(nlp, arguments.dev)}")


if __name__ == "__main__":
    main()
