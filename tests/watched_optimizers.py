"""Optimizers with a fault that was met in the field, and a small model to train with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Tensor = Any


class Rescaled(torch.optim.AdamW):  # type: ignore[misc]  # torch ships no types
    """Gradients divided by 65536 inside the step (DeepSpeed PR 7839)."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        own = [p.grad for p in params]
        for p in params:
            p.grad = p.grad / 65536
        result = super().step(closure)
        for p, gradient in zip(params, own):
            p.grad = gradient
        return result


class LastCounter(torch.optim.AdamW):  # type: ignore[misc]  # torch ships no types
    """Every parameter of a group uses the step count of the last one that has a gradient (DeepSpeed PR 8471)."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        own: list[tuple[Any, Any]] = []
        for group in self.param_groups:
            active = [p for p in group["params"] if p.grad is not None]
            for p in active:
                if not self.state[p]:
                    self.state[p].update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
            own += [(p, self.state[p]["step"].clone()) for p in active]
            for p in active:
                self.state[p]["step"] = self.state[active[-1]]["step"].clone()
        result = super().step(closure)
        for p, count in own:
            self.state[p]["step"] = count + 1
        return result


class NoOp(torch.optim.Adam):  # type: ignore[misc]  # torch ships no types
    """A step that does nothing."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        return None


class Leaky(torch.optim.SparseAdam):  # type: ignore[misc]  # torch ships no types
    """A step that also shrinks every row a little."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        result = super().step(closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].mul_(0.999)
        return result


class Halved(torch.optim.Adam):  # type: ignore[misc]  # torch ships no types
    """A step that halves the gradients where they are."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for p in self.param_groups[0]["params"]:
            p.grad.mul_(0.5)
        return super().step(closure)


class Mine(torch.optim.AdamW):  # type: ignore[misc]  # torch ships no types
    """AdamW under another name."""


def model(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).to(dtype)


def train(net: Any, optimizer: Any, steps: int, before: Callable[[int], Any] = lambda k: None) -> None:
    """Train on random numbers. before: called before each step of the optimizer, when the gradients are there."""
    dtype = next(net.parameters()).dtype
    for k in range(steps):
        optimizer.zero_grad(set_to_none=True)
        net(torch.randn(16, 6).to(dtype)).square().mean().backward()
        before(k)
        optimizer.step()
