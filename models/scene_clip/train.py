"""Train the scene CLIP: `python models/scene_clip/train.py DATASET_FOLDER [--out DIR]`.

DATASET_FOLDER: what `gristmill build models/scene_clip/train.yaml` makes. One thread, fixed seed and fixed steps: the
same shards, versions and kind of processor give the same bytes.
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

from scene_model import read_config  # noqa: E402
from scene_shards import read_examples  # noqa: E402
from scene_training import STAGES, train  # noqa: E402


def main() -> None:
    """Parse the command line, read the shards, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of the pairs dataset, with data/*.tar")
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    config = read_config()
    examples = read_examples(arguments.dataset, config["model_cfg"]["vision_cfg"]["image_size"])
    train(examples, config, STAGES, arguments.out)


if __name__ == "__main__":
    main()
