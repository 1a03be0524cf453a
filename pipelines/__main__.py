"""`python -m pipelines` is the `gristmill` command; it is what `ray job submit` runs."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
