"""The one Ray of the run and the command, for all tests of the command."""

from tests.gristmill.running import cli, coco, recipe
from tests.pipelines.milling import one_ray

__all__ = ["cli", "coco", "one_ray", "recipe"]
