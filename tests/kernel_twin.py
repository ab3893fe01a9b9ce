"""The kernels' plain twin: the same step in NumPy, operation for operation, so that the bits must be the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from refimpl.dialects import Hyper, Picks
from refimpl.dialects.stages import Amsgrad, Centralization, Decay, Direction, Eps, Merge, Objective, Touch
from refimpl.gradients import occurrences


def merged(indices: Any, values: Any) -> tuple[list[int], list[np.ndarray]]:
    """Each row once, in the order of its first occurrence, with the sum of its occurrences from the first to the last."""
    sums: dict[int, np.ndarray] = {}
    for row, value in zip(np.asarray(indices).tolist(), values):
        sums[row] = sums[row] + value if row in sums else value.copy()
    return list(sums), list(sums.values())


def stepped(
    param: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    max_exp_avg_sq: np.ndarray | None,
    gradient: Any,
    hyper: Hyper,
    picks: Picks,
    t: int,
) -> list[Any]:
    """The arrays after the step, as fresh copies; half precision is computed in float32, and rounded where it is stored."""
    real = np.float64 if param.dtype == np.float64 else np.float32
    stored = occurrences(gradient, param.shape, "w")
    p, m, v = (np.array(array).reshape(stored.layout) for array in (param, exp_avg, exp_avg_sq))
    v_max = None if max_exp_avg_sq is None else np.array(max_exp_avg_sq).reshape(stored.layout)
    root2 = np.sqrt(1 - hyper.beta2**t)
    step = real(hyper.lr * root2 / (1 - hyper.beta1**t))
    eps = real(hyper.eps * root2 if picks.eps is Eps.PAPER else hyper.eps)
    centralize = picks.centralization is Centralization.ROW_MEAN and param.ndim > 1 and param.shape[1] % 16 == 0

    def prepared(value: Any, row: int) -> Any:
        g = -value if picks.objective is Objective.MAXIMIZE else value
        if picks.decay is Decay.COUPLED_OCCURRENCE:
            g = g + p[row].astype(real) * real(hyper.weight_decay * hyper.loss_scale)
        if hyper.loss_scale != 1:
            g = g * real(1 / hyper.loss_scale)
        if centralize:
            total = g[0]
            for element in g[1:]:
                total = total + element
            g = g - total / real(len(g))
        return g

    def advanced(row: int, g: Any, before: Any) -> None:
        """The moments that follow from those before, and p after the change."""
        old: list[Any] = [None if array is None else array.astype(real) for array in before]
        m_old, v_old, top = old
        m_new = m_old * real(hyper.beta1) + g * real(1 - hyper.beta1)
        v_new = v_old * real(hyper.beta2) + (g * g) * real(1 - hyper.beta2)
        used = v_new if picks.amsgrad is Amsgrad.OFF else np.maximum(v_new, top)
        look = m_new * real(hyper.beta1) + g * real(1 - hyper.beta1) if picks.direction is Direction.NESTEROV else m_new
        kept = p[row].astype(real)
        if picks.decay in (Decay.DECOUPLED_ALL, Decay.DECOUPLED_TOUCHED):
            kept = kept * real(1 - hyper.lr * hyper.weight_decay)
        p[row] = kept - (look * step) / (np.sqrt(used) + eps)
        m[row], v[row] = m_new, v_new
        if v_max is not None:
            v_max[row] = used

    with np.errstate(all="ignore"):
        values = stored.values.astype(real)
        ready = [prepared(value, row) for row, value in zip(stored.indices, values)]
        rows, sums = (stored.indices.tolist(), ready) if picks.merge is Merge.OLD_STATE else merged(stored.indices, ready)
        if picks.touch is Touch.ALL:
            rest = [row for row in range(stored.layout[0]) if row not in set(rows)]
            rows, sums = rows + rest, sums + [np.zeros(stored.layout[1], real)] * len(rest)
        if picks.decay is Decay.COUPLED_MERGED:
            sums = [g + p[row].astype(real) * real(hyper.weight_decay) for row, g in zip(rows, sums)]
        old = {row: (m[row].copy(), v[row].copy(), None if v_max is None else v_max[row].copy()) for row in rows}
        for row, g in zip(rows, sums):
            advanced(row, g, old[row])
    return [None if array is None else array.reshape(param.shape) for array in (p, m, v, v_max)]
