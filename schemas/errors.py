"""The two ways in which a command ends badly; each carries the one line that the user reads."""

from __future__ import annotations


class UserError(Exception):
    """The recipe, the command or an input is wrong: the line names the field, file or row, and the mend. Exit 2."""


class BuildError(Exception):
    """A build or a check failed while running: the line says what happened and how to go on. Exit 1."""


def first_line(error: Exception) -> str:
    """What a library said, fit for one line of our own."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
