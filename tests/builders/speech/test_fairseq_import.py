"""k-means files of fairseq's: converted where they are trusted, and never loaded in this process."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans

from builders.digest import digest_of
from builders.shards.store import Store
from builders.speech import fairseq_import
from builders.speech.fairseq_import import import_fairseq
from builders.speech.features import FeatureSpec, mfcc_spec
from builders.speech.vocabulary import load_vocabulary, save_vocabulary
from schemas.errors import UserError

pytestmark = pytest.mark.slow

HUBERT = FeatureSpec("hubert", 50.0, model="facebook/hubert-base-ls960", model_sha256="ab" * 32, layer=9)


@pytest.fixture
def means() -> MiniBatchKMeans:
    frames = np.random.default_rng(0).normal(size=(300, 24))
    return MiniBatchKMeans(10, n_init=1, random_state=0).fit(frames)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("compress", [0, 3])
def test_a_k_means_by_joblib_becomes_a_vocabulary(
    kind: str, compress: int, means: MiniBatchKMeans, tmp_path: Path
) -> None:
    means.cluster_centers_ = means.cluster_centers_.astype(kind)
    file = tmp_path / "km10.bin"
    joblib.dump(means, file, compress=compress)
    found = import_fairseq(file, HUBERT, trust_pickle=True)
    assert np.array_equal(found.centroids, means.cluster_centers_.astype(np.float32))
    assert (found.spec, found.seed, found.k) == (HUBERT, None, 10)
    assert found.sample == {"imported": "km10.bin", "sha256": digest_of(file)}
    save_vocabulary(found, Store(tmp_path / "units"))
    frames = np.random.default_rng(1).normal(size=(500, 24)).astype(np.float32)
    assert (load_vocabulary(str(tmp_path / "units")).apply(frames) == means.predict(frames.astype(kind))).all()


class Runs:
    """Unpickled, it calls a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


def as_file(tmp_path: Path, *call: Any) -> Path:
    file = tmp_path / "km.bin"
    file.write_bytes(pickle.dumps(Runs(*call)))
    return file


def test_a_pickle_is_not_read_unless_it_is_trusted(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    file = as_file(tmp_path, Path.touch, mark)
    with pytest.raises(UserError, match=r"km.bin: is a pickle, and reading it runs .*; if .* add --trust-pickle$"):
        import_fairseq(file, HUBERT, trust_pickle=False)
    assert not mark.exists()


def test_a_trusted_program_runs_in_another_process_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = "import os; open('{}','w').write(repr((os.getpid(), dict(os.environ), os.getcwd())))"
    file = as_file(tmp_path, exec, script.format(tmp_path / "ran"))
    with pytest.raises(UserError, match="holds no k-means of scikit-learn: .*'NoneType'.*cluster_centers_"):
        import_fairseq(file, HUBERT, trust_pickle=True)
    process, environment, where = eval((tmp_path / "ran").read_text())
    assert process != os.getpid()
    assert "OPENAI_API_KEY" not in environment
    assert environment["HOME"] == where
    assert not Path(where).exists()


def test_a_trusted_program_has_no_network_where_the_kernel_can_take_it(tmp_path: Path) -> None:
    alone = "import ctypes; raise SystemExit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    if subprocess.run([sys.executable, "-I", "-c", alone], check=False).returncode:
        pytest.skip("this kernel lets no ordinary user leave the network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        with pytest.raises(UserError, match="holds no k-means of scikit-learn: .*unreachable"):
            import_fairseq(as_file(tmp_path, exec, connect), HUBERT, trust_pickle=True)


def test_what_it_started_is_ended_with_it(tmp_path: Path) -> None:
    started = tmp_path / "started"
    child = f"import subprocess; p = subprocess.Popen(['sleep', '600']); open('{started}', 'w').write(str(p.pid))"
    with pytest.raises(UserError):
        import_fairseq(as_file(tmp_path, exec, child), HUBERT, trust_pickle=True)
    assert wait_until_gone(int(started.read_text()))


def wait_until_gone(process: int) -> bool:
    for _ in range(500):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairseq_import, "SECONDS", 1)
    with pytest.raises(UserError, match="km.bin: reading it took over 1 seconds"):
        import_fairseq(as_file(tmp_path, time.sleep, 600), HUBERT, trust_pickle=True)


def test_garbage_is_told_in_one_plain_line(tmp_path: Path) -> None:
    file = tmp_path / "km.bin"
    file.write_bytes(b"\x00\x1b[31mno pickle\n" * 100)
    with pytest.raises(UserError, match=r"km.bin: holds no k-means of scikit-learn: ") as raised:
        import_fairseq(file, HUBERT, trust_pickle=True)
    assert str(raised.value).isprintable()


def test_what_a_file_shouts_is_cut_and_made_printable(tmp_path: Path) -> None:
    shout = "raise SystemExit('\\x1b[31m' + 'x' * 500)"
    with pytest.raises(UserError, match=r"scikit-learn: \?\[31mxxx") as raised:
        import_fairseq(as_file(tmp_path, exec, shout), HUBERT, trust_pickle=True)
    assert str(raised.value).isprintable() and len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("centres", "why"),
    [
        (np.ones(10), r"its centres are float64 of \(10,\), not numbers of k x dimensions"),
        (np.array([["a"]]), "its centres are <U1 of .1, 1., not numbers"),
        (np.full((10, 24), np.nan), "a centre holds what is no number"),
        (np.full((10, 24), 1e300), "a centre holds what is no number"),
        (np.ones((0, 24)), r"the centres are float32 of \(0, 24\), not float32 of k x dimensions"),
    ],
    ids=["one dimension", "text", "nan", "beyond float32", "none"],
)
def test_centres_that_cannot_be_are_refused(centres: np.ndarray, why: str, tmp_path: Path) -> None:
    joblib.dump(SimpleNamespace(cluster_centers_=centres), tmp_path / "km.bin")
    with pytest.raises(UserError, match=why) as raised:
        import_fairseq(tmp_path / "km.bin", HUBERT, trust_pickle=True)
    assert "\n" not in str(raised.value)


def test_features_that_cannot_be_its_are_refused(tmp_path: Path) -> None:
    joblib.dump(SimpleNamespace(cluster_centers_=np.ones((10, 24))), tmp_path / "km.bin")
    with pytest.raises(UserError, match="the centres have 24 dimensions, but mfcc has 39"):
        import_fairseq(tmp_path / "km.bin", mfcc_spec(), trust_pickle=True)


def test_a_program_cannot_pass_off_something_else_as_centres(tmp_path: Path) -> None:
    forge = "import sys, os; open(sys.argv[2], 'wb').write(b'junk'); os._exit(0)"
    with pytest.raises(UserError, match="km.bin: .*; give a k-means file"):
        import_fairseq(as_file(tmp_path, exec, forge), HUBERT, trust_pickle=True)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere.bin: no such file"):
        import_fairseq(tmp_path / "nowhere.bin", HUBERT, trust_pickle=True)
