"""What `refimpl.Watch` costs: a step with it against the same step without, and the elements that the kernel verifies in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

DENSE, SAMPLE = 12_800_000, 4096
ROWS, WIDTH, TABLE = 100_000, 64, 1_000_000
BULK = 2_000_000

BARS = {"dense": 1.05, "sparse": 3.0, "bulk": 2e7}
"""What is aimed at: a fused AdamW step with the sample takes at most 1.05 of the step alone; a SparseAdam step with every row judged at
most three times the step alone, twice the step for the watch; elements per second of one core, in float32."""


def watch_lines(repeats: int, quick: bool = False) -> Iterator[str]:
    """A line of a Markdown table for each figure."""
    shrink = 100 if quick else 1
    yield "| what | alone, ms | watched, ms | watched/alone, median | bar |"
    yield "|---|---|---|---|---|"
    cells: tuple[tuple[str, str, Callable[[], Any]], ...] = (
        ("dense", f"fused AdamW, {DENSE // shrink:.3g} elements, {SAMPLE} sampled", lambda: _dense(DENSE // shrink)),
        ("sparse", f"SparseAdam, {ROWS // shrink:.0e} rows x {WIDTH}, every row judged", lambda: _sparse(ROWS // shrink, TABLE // shrink)),
    )
    for key, words, made in cells:
        alone, watched, ratio = _compared(made(), SAMPLE if key == "dense" else None, repeats)
        yield f"| {words} | {1e3 * alone:.3g} | {1e3 * watched:.3g} | {ratio:.3f} | {BARS[key]:.2f} |"
    rate = _bulk(BULK // shrink, repeats)
    yield ""
    words = f"verification of {BULK // shrink:.0e} elements of AdamW in float32"
    yield f"{words}: {rate:.3g} elements per second of one core (bar {BARS['bulk']:.0e})"


def _compared(optimizer: Any, sample: int | None, repeats: int) -> tuple[float, float, float]:
    """Medians over rounds: seconds alone, seconds watched, and their ratio within a round."""
    from refimpl import Watch

    rounds = []
    for number in range(repeats + 2):
        seconds = {}
        for watched in (False, True) if number % 2 else (True, False):
            with Watch(optimizer, sample=sample, on_failure="raise") if watched else nullcontext() as watch:
                if watch is not None:
                    watch.session.judgements += [None] * 10  # type: ignore[list-item]  # past the first calls, which are controls
                began = time.perf_counter()
                optimizer.step()
                seconds[watched] = time.perf_counter() - began
        rounds.append(seconds)
    rounds = rounds[2:]  # the first ones compile
    alone, watched_seconds = (float(np.median([seconds[key] for seconds in rounds])) for key in (False, True))
    return alone, watched_seconds, float(np.median([seconds[True] / seconds[False] for seconds in rounds]))


def _dense(elements: int) -> Any:
    import torch

    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(elements))
    param.grad = torch.randn(elements)
    optimizer = torch.optim.AdamW([param], fused=True)
    optimizer.step()
    return optimizer


def _sparse(rows: int, table: int) -> Any:
    import torch

    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(table, WIDTH))
    indices = torch.randperm(table)[:rows].sort().values[None]
    param.grad = torch.sparse_coo_tensor(indices, torch.randn(rows, WIDTH), (table, WIDTH), check_invariants=True).coalesce()
    optimizer = torch.optim.SparseAdam([param])
    optimizer.step()
    return optimizer


def _bulk(elements: int, repeats: int) -> float:
    """Elements per second of one core: of the process's own time, the best round."""
    from refimpl.dialects import dialect
    from refimpl.watch._kernel import ratios_of
    from refimpl.watch._least import plan_of

    random = np.random.default_rng(0)
    p, m, g = (random.normal(size=elements).astype(np.float32) for _ in range(3))
    hyper, picks = dialect("torch.AdamW").resolve(dialect("torch.AdamW").defaults())
    plan = plan_of("torch.AdamW", hyper, picks, 1000, "float32", "tensor-faithful")
    assert plan is not None
    verify: Callable[[], Any] = lambda: ratios_of(plan, [p, m, m * m], g, [p, m, m * m], np.zeros((4, 2)))  # noqa: E731
    verify()
    seconds = []
    for _ in range(max(repeats, 3)):
        began = time.process_time()
        verify()
        seconds.append(time.process_time() - began)
    return elements / min(seconds)
