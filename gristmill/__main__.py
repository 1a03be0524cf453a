"""The `gristmill` command. It only dispatches."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of pipelines/; without its packages, say how to get them."""
    try:
        from pipelines.cli import main as run
    except ModuleNotFoundError as error:
        print(f"gristmill: {error.name} is not installed; pip install 'gristmill[build]'", file=sys.stderr)
        raise SystemExit(2) from None
    run()


if __name__ == "__main__":
    main()
