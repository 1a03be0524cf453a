"""Measure the scene CLIP: `python models/scene_clip/evaluate.py [FOLDER]` prints the tables of the README.

Scenes of seeds that training never used, drawn here; deterministic.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
REPOSITORY = str(HERE.parents[1])
if REPOSITORY not in sys.path:
    sys.path.append(REPOSITORY)

from scene_figures import Scorer, auc, score_kind, score_scenes, threshold  # noqa: E402

from builders.sources.scenes.contrasts import KINDS  # noqa: E402

TEST_SEED, OTHER_SEED, CONTRAST_SEED = 811, 812, 813


def main() -> None:
    """Parse the command line, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE)
    parser.add_argument("--scenes", type=int, default=2000, help="for the test, and as many for the threshold")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scorer, count = Scorer(arguments.folder), arguments.scenes
    limit = threshold(score_scenes(scorer, OTHER_SEED, count))
    test = score_scenes(scorer, TEST_SEED, count)
    print(f"| {count:,} scenes of seed {TEST_SEED}; threshold {limit:.3f} from {count:,} of seed {OTHER_SEED} | |")
    print("|---|---|")
    print(f"| caption of another scene: AUC | {auc(test.true, test.mismatched):.4f} |")
    print(
        f"| at the threshold: removed / matches kept | {_part(test.mismatched < limit)} / {_part(test.true >= limit)} |"
    )
    print(f"| one word changed: AUC | {auc(test.true, test.one_word):.3f} |")
    print(f"| one word changed: removed at the threshold above | {_part(test.one_word < limit)} |")
    print(f"| the true caption is the nearest of {count:,} | {_part(test.retrieved)} |\n")
    print(f"| what is false, {count // 2:,} pictures each | true caption beats it | AUC over pictures |")
    print("|---|---|---|")
    for kind in KINDS:
        scores = score_kind(scorer, CONTRAST_SEED, kind, count // 2)
        print(f"| {kind.replace('_', ' ')} | {_part(scores.pairs)} | {auc(scores.true, scores.false):.3f} |")


def _part(found: object) -> str:
    return f"{100 * float(torch.as_tensor(found, dtype=torch.float64).mean()):.1f}%"


if __name__ == "__main__":
    main()
