"""Run by test_kernels_compiling.py in processes of their own: prints the CPU target, and a hash of what the kernels compute.

Arguments: numbers of threads. Every step is computed by so many, whatever its size; the bits must be the same. Formats are few, as each
takes seconds to compile for a target, and so does a launch of several threads.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target
from scipy.sparse import coo_array

from refimpl import kernels
from refimpl.dialects import dialect
from refimpl.gradients import RowGradient
from refimpl.kernels import compiling, planning
from refimpl.kernels.formats import FORMATS, read, write

WAYS: dict[str, dict[str, Any]] = {
    "torch.SparseAdam": {},
    "mindspore.LazyAdam": {"weight_decay": 0.1, "loss_scale": 3.0, "grad_centralization": True, "use_nesterov": True},
    "mindspore.LazyAdam.default-target": {},
    "mindspore.Adam": {},
}
SHAPE = (300, 48)


def steps(threads: int) -> str:
    """The hash of the states after some steps of each way."""
    vars(planning).update(threads_for=lambda rows, width: threads, PART=16)
    numba.set_num_threads(threads)
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    for name, options in WAYS.items():
        hyper, picks = dialect(name).resolve({**dialect(name).defaults(), **options})
        p, m, v = (rng.random(SHAPE).astype(np.float32) for _ in range(3))
        indices = rng.integers(0, 200, 250)
        values = (rng.standard_normal((250, 48)) * 10.0 ** rng.integers(-20, 20, (250, 1))).astype(np.float32)
        elements = coo_array((values[:, 0], (indices, indices % 48)), shape=SHAPE)
        for t, gradient in enumerate([RowGradient(indices, values, SHAPE), np.resize(values, SHAPE), elements], start=1):
            form = {RowGradient: "rows", np.ndarray: "dense"}.get(type(gradient), "elements")
            if form in dialect(name).gradients:
                kernels.step(p, m, v, None, gradient, hyper, picks, t)
        for array in (p, m, v):
            digest.update(array.tobytes())
    return digest.hexdigest()


@compiling.jit
def converted(numbers, halves):  # type: ignore[no-untyped-def]
    """numbers <- halves, as float32; and back again, between two of them."""
    for k in range(len(halves)):
        numbers[k] = read(halves, k)
    for k in range(len(halves)):
        write(halves, k, numbers[k] * numbers.dtype.type(1.001))


def conversions() -> str:
    digest = hashlib.sha256()
    for stored in FORMATS.values():
        if stored.bits is not None:
            numbers, halves = np.empty(2**16, np.float32), np.arange(2**16).astype(np.uint16).view(stored.bits)
            converted(numbers, halves)
            digest.update(numbers.tobytes() + halves.tobytes())
    return digest.hexdigest()


hashes = {steps(threads) for threads in map(int, sys.argv[1:])}
assert len(hashes) == 1, "the bits depend on the number of threads"
print(cpu_target.target_context.codegen().magic_tuple()[1], hashes.pop(), conversions())
