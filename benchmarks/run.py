"""Runs the benchmarks, or those that are named, and prints their ratios: `python benchmarks/run.py [NAME …]`.

Exit code 1 where a ratio misses its target.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks.measure import machine, show

NAMES = ("parse", "engine", "shards", "memory", "clip", "speech", "detect", "fetch", "llm")


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all of them."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}, only {', '.join(NAMES)}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    missed = False
    for name in names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        rows = module.main()
        show((module.__doc__ or name).splitlines()[0], rows)
        missed |= any(row.good is False for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
