"""What the names in an explanation stand for."""

from __future__ import annotations

from ..dialects import Picks

NAMES = {
    "p": "the parameter",
    "m": "first moment",
    "v": "second moment",
    "v_max": "largest v so far",
    "given": "gradient",
    "occurrence": "gradient, prepared",
    "g": "gradient of the row",
    "d": "direction",
    "m_hat": "m without its bias towards 0",
    "d_hat": "d without its bias towards 0",
    "v_hat": "v without its bias towards 0",
    "c1": "bias correction of m",
    "c2": "bias correction of v",
    "step": "step size, bias corrections folded in",
    "lr": "learning rate",
    "b1": "decay rate of m",
    "b2": "decay rate of v",
    "eps": "keeps the division from growing without limit",
    "eps_root": "stands inside the root",
    "wd": "weight decay",
    "ls": "loss scale",
}
"""Name to what it is."""

HYPER = ("lr", "b1", "b2", "eps", "eps_root", "wd", "ls")
"""The names of hyper-parameters: doubles that somebody has written down, so that their exact values say nothing."""

STAGES = {"d": "direction", "v_max": "amsgrad"}
"""Names whose formula a stage decides: its pick is said beside them."""


def about(name: str, picks: Picks, merged: bool = False) -> str:
    """What a name is, and which alternative its stage picks. merged: it is made of several occurrences of a row."""
    if merged:
        return f"repeated rows: {picks.merge.value}"
    if name == "change":
        return f"eps: {picks.eps.value}"
    stage = STAGES.get(name)
    return f"{NAMES[name]}; {stage}: {getattr(picks, stage).value}" if stage else NAMES[name]
