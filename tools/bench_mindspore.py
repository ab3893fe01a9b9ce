"""MindSpore's fused kernel for the rows of a gradient, timed where MindSpore is installed: a program that `bench.py` talks to.

    PYTHON tools/bench_mindspore.py ROWS GRADIENT.npz

GRADIENT.npz holds `indices` (n,) and `values` (n, width) of a table of that many rows. For each line on standard input it makes
one step and prints the seconds that it took; the first line that it prints is the version. Needs mindspore and NumPy, nothing of refimpl.
"""

import sys
import time

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, ops
from mindspore.common.api import _pynative_executor


def main(rows: int, gradient_file: str) -> None:
    with np.load(gradient_file) as gradient:
        indices, values = Tensor(gradient["indices"].astype(np.int32)), Tensor(gradient["values"])
    rng = np.random.default_rng(0)
    state = [Parameter(Tensor(rng.random((rows, values.shape[1]), np.float32)), name=name) for name in ("p", "m", "v")]
    kernel = ops.FusedSparseLazyAdam()
    kernel.set_device("CPU")
    powers_lr_betas_eps = [Tensor(np.float32(number)) for number in (0.9**3, 0.999**3, 1e-3, 0.9, 0.999, 1e-8)]

    def step() -> None:
        kernel(*state, *powers_lr_betas_eps, values, indices)
        _pynative_executor.sync()  # the call returns before the step is computed

    before = state[0][indices[:1]].asnumpy()
    step()
    if (state[0][indices[:1]].asnumpy() == before).all():
        raise SystemExit("a step changed nothing: there is nothing to time")
    print(mindspore.__version__, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
