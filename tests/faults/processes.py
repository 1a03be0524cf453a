"""A build in a process of its own, that can be hurt; and everything that it starts, by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from builders.shards.store import Store

ROOT = Path(__file__).resolve().parents[2]
TIME_OUT_S = 400


def _parents() -> dict[int, int]:
    """Of each process: its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    return found


def title(pid: int) -> str:
    """What a process calls itself; Ray's workers name the task that they run."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "gone"


def wait_for(what: Callable[[], bool], seconds: float, told: str) -> None:
    """Wait until `what` holds."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {told}")
        time.sleep(0.02)


def _hear_interrupts() -> None:
    """A run in the background (a CI's, one under nohup) hands down that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Build:
    """`python -m pipelines build` of a recipe, running."""

    def __init__(self, recipe: Path, out: Path | str, *options: str) -> None:
        self.out = Store(str(out))
        self._log = (recipe.parent / f"build-{time.monotonic_ns()}.log").open("w+")
        command = [sys.executable, "-m", "pipelines", "build", str(recipe), "--out", str(out), *options]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )
        self._seen: set[int] = set()

    def __enter__(self) -> Build:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind, whatever the test did."""
        self.descendants()
        for pid in (self._process.pid, *self._seen):
            if _state(pid) not in ("gone", "Z") and (pid == self._process.pid or "ray" in title(pid)):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._log.close()

    def descendants(self) -> set[int]:
        """Everything that the driver has started by now and that still runs."""
        parents = _parents()
        ours = {self._process.pid, *self._seen}
        while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
            ours |= more
        self._seen = ours - {self._process.pid}
        return {pid for pid in self._seen if _state(pid) not in ("gone", "Z")}

    @property
    def committed(self) -> int:
        """How many units are committed."""
        return len(self.out.list("units"))

    def wait_until(self, units: int) -> None:
        """Wait until so many units are committed; fails where the build ends before."""
        wait_for(lambda: self.committed >= units or self._process.poll() is not None, TIME_OUT_S, f"unit {units}")
        self.descendants()
        assert self._process.poll() is None, f"the build ended before unit {units}:\n{self.said()}"

    def find(self, word: str) -> list[int]:
        """The processes of this build whose title holds `word`."""
        return sorted(pid for pid in self.descendants() if word in title(pid))

    def kill_driver(self) -> None:
        """kill -9 of the driver alone; then wait until every worker that could still write has noticed and ended.

        Ray's two agents linger for a minute and touch no dataset; they are ended on exit.
        """
        self.descendants()
        self._process.kill()
        self._process.wait(timeout=30)
        wait_for(lambda: all("Agent" in title(pid) for pid in self.descendants()), 60, "a killed driver's workers")

    def kill_all(self) -> None:
        """kill -9 of the driver and of all that it has started, at once: what a machine does that loses power."""
        for pid in (self._process.pid, *self.descendants()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        wait_for(lambda: not self.descendants(), 60, "the end of all that was killed")

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends SIGINT to the whole process group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def terminate(self) -> None:
        """What `ray job stop`, systemd and Kubernetes send."""
        os.kill(self._process.pid, signal.SIGTERM)

    def pause(self) -> None:
        """Let the driver stand still, as a machine does whose lid is closed; its workers go on with what they have."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def ends(self) -> int:
        """The exit code."""
        return self._process.wait(timeout=TIME_OUT_S)

    def said(self) -> str:
        """All that it printed."""
        self._log.flush()
        return Path(self._log.name).read_text()
