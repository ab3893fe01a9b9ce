"""Processes of torch.distributed that stay alive between cases: a request to some ranks, their replies, and an end to all of them.

The ranks meet over a file, so that no port is chosen. A rank that fails, ends or does not answer is named in the error; unless every rank
that was asked failed, the others may wait for it in a collective operation, so all processes are then ended, and the pool is closed.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

STARTUP = 300.0
"""Seconds in which the ranks must have imported PyTorch and met."""

GRACE = 2.0
"""Seconds for the replies of the other ranks once one has failed."""


class RankError(Exception):
    """A rank raised, ended or did not answer."""


class RankPool:
    """Some ranks, each a process. Each request is a tuple (name of a method, its arguments); each reply a pair (is it a result?, value)."""

    def __init__(self, world: int, module: str) -> None:
        """Start that many processes. Each runs `serve(rank, world, store, connection)` of the module; store: the file where they meet."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([module])  # PyTorch is imported once, and not by each rank
        self.world = world
        self.closed = False
        self._scratch = tempfile.TemporaryDirectory(prefix="refimpl-ranks-", ignore_cleanup_errors=True)
        store = str(Path(self._scratch.name, "store"))
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        for rank in range(world):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(module, rank, world, store, there), daemon=True)
            process.start()
            there.close()
            self._connections.append(here)
            self._processes.append(process)
        self._finalizer = weakref.finalize(self, _end, self._connections, self._processes, self._scratch)
        try:
            self._replies(range(world), "the start", STARTUP)
        except BaseException:
            self.close()
            raise

    def ask(self, requests: Mapping[int, tuple[Any, ...]], seconds: float) -> list[Any]:
        """Send a request to each of these ranks, and return their results in order. Raises RankError, by the first rank that failed."""
        if self.closed:
            raise RankError("the processes were ended by an earlier error")
        try:
            for rank, request in requests.items():
                with contextlib.suppress(OSError):  # a rank that is gone is found when it does not reply
                    self._connections[rank].send(request)
            return self._replies(list(requests), requests[next(iter(requests))][0], seconds)
        except RankError:
            raise
        except BaseException:  # an interrupt: replies may still come, and would be taken for those to the next request
            self.close()
            raise

    def _replies(self, ranks: Sequence[int], what: str, seconds: float) -> list[Any]:
        replies: dict[int, tuple[bool, Any]] = {}
        failures: dict[int, str] = {}
        deadline = time.monotonic() + seconds
        while len(replies) < len(ranks):
            missing = {self._connections[rank]: rank for rank in ranks if rank not in replies}
            ready = wait(list(missing), max(deadline - time.monotonic(), 0.0))
            if not ready:
                break
            for connection in ready:
                rank = missing[connection]  # type: ignore[index]  # only connections are waited for
                replies[rank] = self._reply(rank)
                if not replies[rank][0]:
                    failures[rank] = f"rank {rank}: {replies[rank][1]}"
                    deadline = min(deadline, time.monotonic() + GRACE)
        silent = [rank for rank in ranks if rank not in replies]
        if failures or silent:
            gone = any(process.exitcode is not None for process in self._processes)
            if len(failures) < len(ranks) or gone:
                self.close()
            waits = f"no answer to {what} from rank {', '.join(map(str, silent))}" + ("" if failures else f" within {seconds:g} s")
            raise RankError("; ".join([*(failures[rank] for rank in sorted(failures)), *([waits] if silent else [])]))
        return [replies[rank][1] for rank in ranks]

    def _reply(self, rank: int) -> tuple[bool, Any]:
        try:
            is_result, value = self._connections[rank].recv()
        except (EOFError, OSError):
            self._processes[rank].join(GRACE)
            return False, f"the process ended with exit status {self._processes[rank].exitcode}"
        return is_result, value

    def close(self) -> None:
        """End every process."""
        self.closed = True
        self._finalizer()


def _serve(module: str, rank: int, world: int, store: str, connection: Connection) -> None:
    importlib.import_module(module).serve(rank, world, store, connection)


def _end(connections: Sequence[Connection], processes: Sequence[Any], scratch: tempfile.TemporaryDirectory[str]) -> None:
    for process in processes:
        process.kill()  # a rank that waits in a collective operation hears nothing else
    for process in processes:
        process.join()
    for connection in connections:
        connection.close()
    scratch.cleanup()
