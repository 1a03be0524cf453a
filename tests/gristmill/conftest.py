"""The one Ray of the run, for the commands that build."""

from tests.pipelines.milling import one_ray

__all__ = ["one_ray"]
