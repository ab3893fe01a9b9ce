"""Run by test_kernels_compiling.py in processes of their own: prints the CPU target, and a hash of what the kernels compute."""

from __future__ import annotations

import hashlib
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target
from scipy.sparse import coo_array

from refimpl import kernels
from refimpl.dialects import dialect
from refimpl.gradients import RowGradient
from refimpl.kernels import compiling, threads
from refimpl.kernels.formats import FORMATS, read, write

WAYS: dict[str, dict[str, Any]] = {
    "torch.SparseAdam": {},
    "mindspore.LazyAdam": {"weight_decay": 0.1, "loss_scale": 3.0, "grad_centralization": True, "use_nesterov": True},
    "mindspore.LazyAdam.default-target": {},
    "mindspore.Adam": {},
}

threads.THRESHOLD = 0  # every step is split where there is more than one thread
rng = np.random.default_rng(0)
digest = hashlib.sha256()
for name, options in WAYS.items():
    hyper, picks = dialect(name).resolve({**dialect(name).defaults(), **options})
    p, m, v = (rng.random((300, 48)).astype(np.float32) for _ in range(3))
    indices = rng.integers(0, 200, 250)
    values = (rng.standard_normal((250, 48)) * 10.0 ** rng.integers(-20, 20, (250, 1))).astype(np.float32)
    for t, gradient in enumerate([RowGradient(indices, values, (300, 48)), np.resize(values, (300, 48))], start=1):
        if isinstance(gradient, RowGradient) or "dense" in dialect(name).gradients:
            kernels.step(p, m, v, None, gradient, hyper, picks, t)
    if name == "torch.SparseAdam":
        kernels.step(p, m, v, None, coo_array((values[:, 0], (indices, indices % 48)), shape=(300, 48)), hyper, picks, 3)
    for array in (p, m, v):
        digest.update(array.tobytes())


@compiling.jit
def converted(numbers, halves):  # type: ignore[no-untyped-def]
    """numbers <- halves, as float32; and back again, between two of them."""
    for k in range(len(halves)):
        numbers[k] = read(halves, k)
    for k in range(len(halves)):
        write(halves, k, numbers[k] * numbers.dtype.type(1.001))


for stored in FORMATS.values():
    if stored.bits is not None:
        numbers, halves = np.empty(2**16, np.float32), np.arange(2**16).astype(np.uint16).view(stored.bits)
        converted(numbers, halves)
        digest.update(numbers.tobytes() + halves.tobytes())
rows, summed = kernels.merge(indices, values, 300)
digest.update(rows.tobytes() + summed.tobytes())
print(cpu_target.target_context.codegen().magic_tuple()[1], numba.get_num_threads(), digest.hexdigest())
