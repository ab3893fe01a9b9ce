"""A campaign on a Dask cluster: the same cases and the same bytes, however many workers there are.

A task is a batch of numbers, and its result depends on them and the settings alone. The scheduler runs a task again whose worker was
killed; where it gives up, the campaign is an error, and nothing counts as passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import HarnessError, RefimplError, UsageError
from ._campaign import FAILING, SHRUNK, Identity, Result, Settings, Shrunk, session
from ._parts import Part
from ._running import INTERRUPTED, Speed

CONNECT = "20s"
"""How long to wait for the scheduler."""

LARGEST_BATCH, BATCHES_PER_WORKER = 50, 4
"""Cases of a task, for each of which a backend is started; and tasks per worker, so that no worker waits for another for long."""

Error = tuple[int, str, str]
"""What a task could not do: exit code, message, hint. An exception of refimpl does not survive the way to the scheduler whole."""


def run_on_cluster(settings: Settings, address: str) -> Part:
    """Run a campaign on the workers of the scheduler at an address. Raises UsageError where Dask or the scheduler is missing."""
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise UsageError(f"--dask needs the Python package {error.name}", "pip install 'refimpl[dask]'") from None
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--dask {address}: no scheduler answers: {error}", "start one with `dask scheduler`, and workers") from None
    assert settings.cases is not None
    with client, client.as_current():
        workers = max(1, len(client.scheduler_info()["workers"]))
        batch = max(1, min(LARGEST_BATCH, settings.cases // (BATCHES_PER_WORKER * workers)))
        batches = [range(start, min(start + batch, settings.cases)) for start in range(0, settings.cases, batch)]
        futures = client.map(judge_batch, [settings] * len(batches), batches, pure=False)
        results: dict[int, Result] = {}
        identities: list[Identity] = []
        speed, stopped, shrunk = Speed(settings.cases), "", []
        try:
            for future in as_completed(futures):
                identity, some = _answer(future)
                identities.append(identity)
                _refuse_differing(identities)
                for result in some:
                    results[result.number] = result
                    speed.take(result)
            speed.tell()
            failing = [number for number in sorted(results) if results[number].verdict.status in FAILING][:SHRUNK]
            shrunk = [_answer(future) for future in client.map(shrink_case, [settings] * len(failing), failing, pure=False)]
        except KeyboardInterrupt:
            client.cancel(futures)
            stopped = INTERRUPTED
    if not identities:
        raise HarnessError("nothing was run: no task of the cluster was done", stopped)
    return Part(identities[0], 1, 1, tuple(results[number] for number in sorted(results)), tuple(shrunk), stopped)


def judge_batch(settings: Settings, numbers: Sequence[int]) -> tuple[Identity, list[Result]] | Error:
    """A task: the results of some numbers, by a backend that is started for them."""
    try:
        with session(settings) as campaign:
            return campaign.identity(), [campaign.result(number) for number in numbers]
    except RefimplError as error:
        return error.exit_code, error.message, error.hint


def shrink_case(settings: Settings, number: int) -> Shrunk | Error:
    """A task: the failing case of a number, made small."""
    try:
        with session(settings) as campaign:
            return campaign.shrunk(number)
    except RefimplError as error:
        return error.exit_code, error.message, error.hint


def _answer(future: Any) -> Any:
    try:
        answer = future.result()
    except Exception as error:  # of the scheduler, or of a worker's surroundings: KilledWorker, a package that is missing there
        raise HarnessError(f"a task of the cluster was lost: {type(error).__name__}: {error}", "see the logs of its workers") from error
    if isinstance(answer, tuple) and isinstance(answer[0], int):
        code, message, hint = answer
        raise {UsageError.exit_code: UsageError}.get(code, HarnessError)(f"on the cluster: {message}", hint)
    return answer


def _refuse_differing(identities: Sequence[Identity]) -> None:
    if identities[-1] != identities[0]:
        raise UsageError(
            "the workers of the cluster differ in the backend, refimpl or NumPy that they have", "give all of them one environment"
        )
