"""Unit vocabularies of fairseq: its k-means files (`.bin`) are pickles by joblib, and a pickle is a program.

Whoever trusts one has it run in a process of its own: without this one's environment, and so without its secrets,
bounded in time, memory and bytes written, and without network where the kernel lets an ordinary user take that away.
What comes back are numbers in a safetensors file, which are checked. A hostile file is not made safe by it: the process
may read what you may.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import safetensors
import safetensors.numpy

from builders.digest import digest_of
from builders.speech.features import FeatureSpec
from builders.speech.vocabulary import Vocabulary
from schemas.errors import UserError

SECONDS = 120
"""That the other process may take; a file of 1,000 units takes 3."""
_MAX_BYTES = 1 << 30
_TOLD = 200

_CONVERT = """
import ctypes, resource, sys
limits = {"AS": 8 << 30, "FSIZE": 1 << 30, "CPU": 120, "CORE": 0}
for limit, most in ((getattr(resource, f"RLIMIT_{name}"), most) for name, most in limits.items()):
    hard = resource.getrlimit(limit)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (most, most))
new_user, new_network = 0x10000000, 0x40000000
ctypes.CDLL(None).unshare(new_user | new_network)
import joblib, numpy, safetensors.numpy
centres = numpy.asarray(joblib.load(sys.argv[1]).cluster_centers_)
if centres.dtype.kind != "f" or centres.ndim != 2:
    raise SystemExit(f"its centres are {centres.dtype} of {centres.shape}, not numbers of k x dimensions")
safetensors.numpy.save_file({"centroids": numpy.ascontiguousarray(centres, numpy.float32)}, sys.argv[2])
"""
"""Limits first, then the network, before any library starts a thread; then the pickle."""


def import_fairseq(file: Path, spec: FeatureSpec, trust_pickle: bool) -> Vocabulary:
    """The vocabulary in a k-means file of fairseq's: a MiniBatchKMeans or KMeans of scikit-learn, saved by joblib.

    `spec` says which features it was fitted on: the file does not. Raises UserError where the pickle is not trusted,
    and where it holds no such thing.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a k-means file of fairseq's, as hubert_base_ls960_L9_km500.bin")
    if not trust_pickle:
        raise UserError(
            f"{file}: is a pickle, and reading it runs whatever program it holds; if you trust where it comes from, "
            "add --trust-pickle"
        )
    if file.stat().st_size > _MAX_BYTES:
        raise UserError(f"{file}: is over {_MAX_BYTES:,} bytes; no k-means file is")
    with tempfile.TemporaryDirectory(prefix="gristmill-units-") as folder:
        tensors = _converted(file, Path(folder))
    try:
        centres = safetensors.numpy.load(tensors)["centroids"]
        told = {"imported": file.name, "sha256": digest_of(file)}
        return Vocabulary(spec, centres, sample=told, versions={})
    except (KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f"{file}: {error}; give a k-means file of fairseq's") from None


def _converted(file: Path, folder: Path) -> bytes:
    out, said = folder / "centres", folder / "said"
    command = [sys.executable, "-I", "-c", _CONVERT, str(file.resolve()), str(out)]
    code = _run(command, folder, said)
    if code is None:
        raise UserError(f"{file}: reading it took over {SECONDS} seconds; give a k-means file of fairseq's")
    if code or not out.is_file() or out.stat().st_size > _MAX_BYTES:
        raise UserError(f"{file}: holds no k-means of scikit-learn: {_last_line(said) or f'exit {code}'}")
    return out.read_bytes()


def _run(command: Sequence[str], folder: Path, said: Path) -> int | None:
    """The exit code; None where it ran out of time. Nothing that it started is left, but what left its group."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, "HOME": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_line(said: Path) -> str:
    """What the process said last, as plain text."""
    with said.open("rb") as file:
        file.seek(max(said.stat().st_size - 10_000, 0))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return "".join(c if c.isprintable() else "?" for c in lines[-1])[:_TOLD] if lines else ""
