"""A campaign on a Dask cluster: the same bytes for any number of workers, and a worker that is killed loses nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fuzz_runs import SETTINGS

from refimpl.errors import UsageError
from refimpl.fuzz._cluster import judge_batch, run_on_cluster
from refimpl.fuzz._options import Shard
from refimpl.fuzz._report import to_json
from refimpl.fuzz._running import run

distributed = pytest.importorskip("distributed", reason="dask and distributed are not installed: pip install 'refimpl[dask]'")

CAMPAIGN = replace(SETTINGS, backend="numba", cases=8)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        yield local


@pytest.mark.filterwarnings("ignore")  # what Dask says of ports and of an end in a hurry is not refimpl's
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_any_number_of_workers_gives_the_bytes_of_one_process(workers: int) -> None:
    alone = run(CAMPAIGN, Shard(1, 1), None, False)
    with cluster(workers) as local:
        assert to_json(run_on_cluster(CAMPAIGN, local.scheduler_address)) == to_json(alone)


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_midway_loses_nothing(tmp_path: Path) -> None:
    """The backend kills its Dask worker in its second case, once: the nanny starts another, and the scheduler runs the batch again."""
    marker = tmp_path / "killed"
    (tmp_path / "deadly.py").write_text(DEADLY)
    settings = replace(CAMPAIGN, backend="deadly:factory", options=(("marker", str(marker)),))
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), before])
    try:
        with cluster(2) as local:
            part = run_on_cluster(settings, local.scheduler_address)
    finally:
        os.environ["PYTHONPATH"] = before
    assert marker.exists()
    assert [result.number for result in part.results] == list(range(8))
    assert part.stopped == ""


DEADLY = '''
import os, signal
from pathlib import Path
from refimpl.backends.numba import factory as numba

class Deadly:
    name, version = "deadly", "1"
    def __init__(self, marker):
        self.marker, self.inner = Path(marker), numba()
        self.dialects = self.inner.dialects
    def start(self, case):
        if not self.marker.exists():
            self.marker.touch()
            os.kill(worker_of(os.getpid()), signal.SIGKILL)
        return self.inner.start(case)

def worker_of(pid):
    """The nearest ancestor that is a worker of Dask: it was started by multiprocessing's spawn."""
    while pid > 1:
        if b"multiprocessing" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    raise RuntimeError("no worker of Dask above")

def factory(marker):
    return Deadly(marker)
'''


def test_what_a_task_cannot_do_comes_back_as_an_error_of_refimpl() -> None:
    answer: Any = judge_batch(replace(CAMPAIGN, backend="no_such_module:factory"), range(1))
    code, message, hint = answer
    assert code in (2, 3)
    assert "no_such_module" in str(message)
    assert isinstance(hint, str)


@pytest.mark.filterwarnings("ignore")
def test_an_address_where_nothing_answers_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refimpl.fuzz._cluster.CONNECT", "1s")
    with pytest.raises(UsageError, match="no scheduler answers"):
        run_on_cluster(CAMPAIGN, "tcp://127.0.0.1:1")
