"""Builds on a Ray of its own: `python -m tests.pipelines.one_cluster CPUS GPUS RECIPE OUT`, tells what came of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import ray

from pipelines.dag import Stage
from schemas.errors import BuildError
from tests.pipelines import toys
from tests.pipelines.milling import mill, table
from tests.pipelines.toys import Device, Toy, Whole, dag


def main(cpus: str, gpus: str, recipe: Path, out: Path) -> None:
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=int(cpus),
        num_gpus=int(gpus),
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    ray.cloudpickle.register_pickle_by_value(toys)
    ray.cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    ends = (
        Stage("before", (Toy(lambda record: {"n": 1}, name="before"),)),
        Stage("model", (Device(),), gpus=1),
        Stage("after", (Toy(lambda record: {"m": 1}, name="after", adds={"m": toys.INT["n"]}),)),
    )
    told = {"grit": mill(recipe, out / "grit")["dataset_digest"]}
    told["toys"] = mill(recipe, out / "toys", dag=dag(*ends))["dataset_digest"]
    told["devices"] = sorted({device for (device,) in table(out / "toys", "index", "device")})
    crooked = Whole(lambda records: [], name="crooked")
    try:
        mill(recipe, out / "bug", dag=dag(Stage("model", (crooked,), gpus=1)))
    except BuildError as error:
        told["bug"] = str(error)
    ray.shutdown()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
