"""Train the English caption parser: `python models/caption_parser/train.py TREEBANK_DIR [--out DIR]`.

One thread, fixed seed and fixed steps: the same treebank and the same versions give the same bytes.
"""

from __future__ import annotations

import os

for threads in ("OMP_NUM_THREADS", "BLIS_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy and thinc load their libraries

import argparse  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

from corpus import Mix, save, training_documents, treebank  # noqa: E402
from spacy import util  # noqa: E402
from spacy.lang.en import English  # noqa: E402
from spacy.language import Language  # noqa: E402
from spacy.training.initialize import init_nlp  # noqa: E402
from spacy.training.loop import train as train_loop  # noqa: E402
from tree import POS_OF_TAG, SUBJECT_OR_OBJECT  # noqa: E402

HERE = Path(__file__).resolve().parent
STEPS = 5_000
META = {
    "name": "core_caption_sm",
    "version": "0.2.0",
    "description": "English tagger and parser for image captions (CLEAR labels), trained on UD_English-EWT and on "
    "synthetic captions",
    "author": "The gristmill authors; treebank: Stanford University and the Universal Dependencies contributors",
    "license": "CC BY-SA 4.0",
    "url": "",
    "sources": [
        {
            "name": "UD_English-EWT (commit 15d613d8447b, 2025-05-10)",
            "url": "https://github.com/UniversalDependencies/UD_English-EWT",
            "author": "Stanford University",
            "license": "CC BY-SA 4.0",
        },
        {
            "name": "Synthetic captions (grammar.py)",
            "url": "",
            "author": "The gristmill authors",
            "license": "CC BY-SA 4.0",
        },
    ],
}
INDEFINITE_PRONOUNS = [some + one for some in ("some", "any", "every", "no") for one in ("thing", "one", "body")]


def train(treebank_dir: Path, seed: int = 0, steps: int = STEPS, mix: Mix | None = None) -> Language:
    """The finished pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        vocab = English().vocab
        corpora = {part: Path(folder) / f"{part}.spacy" for part in ("train", "dev")}
        documents = training_documents(treebank(treebank_dir, "train"), random.Random(seed), mix or Mix())
        save(documents, vocab, corpora["train"])
        save([[tree] for tree in treebank(treebank_dir, "dev")], vocab, corpora["dev"])
        overrides = {f"paths.{part}": str(path) for part, path in corpora.items()}
        settings = {
            "system.seed": seed,
            "training.max_steps": steps,
            "training.optimizer.learn_rate.total_steps": steps,
        }
        nlp = init_nlp(util.load_config(HERE / "config.cfg", overrides={**overrides, **settings}))
        nlp, _ = train_loop(nlp, None, stdout=sys.stdout, stderr=sys.stderr)
    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])
    _add_parts_of_speech(nlp)
    performance = {name: round(nlp.meta["performance"][name], 3) for name in ("tag_acc", "dep_uas", "dep_las")}
    nlp.meta.update(META, performance=performance)
    return nlp


def _add_parts_of_speech(nlp: Language) -> None:
    """The part of speech follows from tag and label, by rules."""
    ruler = nlp.add_pipe("attribute_ruler")
    for tag, pos in POS_OF_TAG.items():
        ruler.add([[{"TAG": tag}]], {"POS": pos})  # type: ignore[attr-defined]
    verbs = ["VB", "VBD", "VBG", "VBN", "VBP", "VBZ"]
    rules: list[tuple[dict[str, object], str]] = [
        ({"TAG": "DT", "DEP": {"IN": list(SUBJECT_OR_OBJECT)}}, "PRON"),
        ({"LOWER": {"IN": INDEFINITE_PRONOUNS}, "TAG": "NN"}, "PRON"),
        ({"TAG": "WDT", "DEP": "det"}, "DET"),
        ({"TAG": "IN", "DEP": "mark"}, "SCONJ"),
        ({"TAG": {"IN": verbs}, "DEP": {"IN": ["aux", "auxpass"]}}, "AUX"),
    ]
    for pattern, pos in rules:
        ruler.add([[pattern]], {"POS": pos})  # type: ignore[attr-defined]


def main() -> None:
    """Parse the command line, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("treebank", type=Path, help="folder of UD_English-EWT, with *train.conllu and *dev.conllu")
    parser.add_argument("--out", type=Path, default=HERE / "pipeline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    train(arguments.treebank, arguments.seed, arguments.steps).to_disk(arguments.out)


if __name__ == "__main__":
    main()
