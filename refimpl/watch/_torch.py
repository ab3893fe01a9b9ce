"""Watch for torch: the hooks around an optimizer's step, from which the samples come before and after it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch

from ..arithmetic import ACCELERATOR_CLASS, CPU_CLASS
from ..backends.torch import OWN_NAMES
from ..case import ARRAYS
from ..errors import UsageError
from ..gradients import Array
from ._drawing import Drawn, TensorSampler
from ._momenta import is_product
from ._report import WatchReport
from ._session import Reaction, Session, check_options, known
from ._step import Fact, Sample, Watched
from ._tensors import Rows, count_of, is_shard, local, not_watched, same_bits, take, take_gradient
from ._torch_optimizers import DIALECTS, claimed_by, inner, settings_of, unwrapped
from ._torch_ranks import Meeting, check_claim, meet

Tensor = Any  # PyTorch ships no type information that mypy is given here

IDLE = 8
"""Parameters without a gradient that are compared by bits in a call, and elements of each."""

FAILED = 5.0
"""Seconds that rank 0 waits for the others where its training ends with an error: they may wait for it, in an operation of all."""

REMEMBERED = 8, 32
"""Parameters whose state is compared with that after the call before, and elements of each."""


@dataclass(eq=False)
class _Before:
    """A parameter before a call. name, group; drawn: its sample; arrays: of the sample; count: of the steps."""

    tensor: Tensor
    name: str
    group: int
    drawn: Drawn
    arrays: dict[str, Array]
    count: float


@dataclass(eq=False)
class _Pending:
    """A call that has begun.

    frame: the wrapper around the step, which tells this call from one that a subclass makes inside its own; others: whether other hooks
    run behind this one, before the step.
    """

    frame: FrameType
    number: int
    params: list[_Before] = field(default_factory=list)
    settings: tuple[Mapping[str, object], ...] = ()
    dialect: str = ""
    grad_scale: float = 1.0
    skipped: bool = False
    notes: tuple[str, ...] = ()
    others: bool = False


class Watch:
    """Judges the steps of an optimizer while it trains: `with refimpl.Watch(optimizer): ...`, or `close()` at the end.

    Before a judged step a sample is copied; after it the exact step and its bound are computed from the sample, and the
    parameter and every moment are compared with them, element by element.

    every: every n-th call is judged; sample: how many elements, None for all of them; on_failure: "warn", "raise", or a function of the
    failure; on_change: the same, or "note", for a state that somebody changed between two calls; save: a directory for the calls that
    are wrong, as vectors; moments: the format that the moments are claimed to be kept in ("float32"), by default their own; dialect:
    what an optimizer of another class claims to compute; require: the numerics class, by default the one that conformance asks for
    on the device; names: `model.named_parameters()`, for a report that names them; seed: of the sample; replicas: what every rank of
    torch.distributed must hold alike (the DistributedDataParallel, a list of parameters, or True for all), which is compared bit by bit;
    patience: seconds that rank 0 waits for the others when it is closed.
    Raises UsageError for an optimizer that cannot be watched, and says why.
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        every: int = 1,
        sample: int | None = 4096,
        on_failure: Reaction = "warn",
        on_change: Reaction = "note",
        save: Any = None,
        moments: str | None = None,
        dialect: str | None = None,
        require: str | None = None,
        names: Iterable[tuple[str, Tensor]] = (),
        seed: int = 0,
        replicas: Any = None,
        patience: float = 60.0,
    ) -> None:
        check_options(every, sample, require)
        if moments not in (None, "float64", "float32", "float16", "bfloat16"):
            raise UsageError(f"moments={moments!r} is no format", "float64, float32, float16 or bfloat16")
        if on_change != "note" and on_change not in ("warn", "raise") and not callable(on_change):
            raise UsageError(f"on_change is {on_change!r}", 'give "note", "warn", "raise" or a function that takes a failure')
        check_claim(replicas)
        outer = unwrapped(optimizer)
        optimizer = inner(outer)
        self.optimizer, self.every, self.on_change = optimizer, every, on_change
        self._dialect = claimed_by(optimizer, dialect)
        device = next((p.device.type for group in optimizer.param_groups for p in group["params"]), "cpu")
        required = require or (CPU_CLASS if device == "cpu" else ACCELERATOR_CLASS)
        subject = f"torch.optim.{type(optimizer).__name__}" if type(optimizer) in DIALECTS else type(optimizer).__name__
        self.session = Session(subject, required, **known({"on_failure": on_failure, "save": save}))
        self._formats = dict.fromkeys(ARRAYS[1:], moments) if moments else {}
        self._names = {id(tensor): name for name, tensor in names}
        self._sampler = TensorSampler(sample, seed)
        self._pending: _Pending | None = None
        self._last: list[tuple[_Before, dict[str, Array], float, Rows]] = []
        self._loaded = False
        self._replicas, self._patience = replicas, patience
        self._meeting: Meeting | None = meet(replicas)
        self._is_closed = False
        self._outer = outer
        self._handles = [
            optimizer.register_step_pre_hook(self._begin),
            optimizer.register_step_post_hook(self._end),
            optimizer.register_load_state_dict_post_hook(self._load),
            outer.register_step_post_hook(self._digest),
        ]
        self._due = False

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(self._patience if kind is None else min(self._patience, FAILED))

    def close(self, patience: float | None = None) -> None:
        """Take the hooks off; the report stays. On rank 0 it is then that of all ranks; patience: seconds to wait for them."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._pending, self._last = [], None, []
        if not self._is_closed:
            self._is_closed = True
            self._meeting = self._meeting or meet(self._replicas)
            if self._meeting is not None:
                self.session.ranks = self._meeting.finish(self.session, self._patience if patience is None else patience)

    def report(self) -> WatchReport:
        """What was judged so far, as text, JSON and HTML."""
        return WatchReport.of(self.session)

    def _load(self, optimizer: Any) -> None:
        self._loaded = True

    def _begin(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        frame = sys._getframe(1)
        if self._pending is not None:
            if _is_running(self._pending.frame, frame):
                return None  # the step of a base class inside that of a subclass
            self.session.note("a call raised an error, and is not judged")
            self._pending = None
        self.session.calls += 1
        self._meeting = self._meeting or meet(self._replicas)
        self._compare_with_last()
        self._due = (self.session.calls - 1) % self.every == 0
        if not self._due:
            return None
        pending = self._pending = _Pending(frame, self.session.calls)
        hooks = list(getattr(optimizer, "_optimizer_step_pre_hooks", ()))
        given = 1 if args[:1] == (optimizer,) else 0  # PyTorch passes the optimizer to its hooks as the first argument of `step`
        closure = args[given] if len(args) > given else kwargs.get("closure")
        if not callable(closure):
            pending.others = hooks[-1:] != [self._handles[0].id]  # they run next, and may change the gradients
            self._copy(pending)
            return None
        watched = self._after_closure(pending, closure)
        if len(args) > given:
            return (*args[:given], watched, *args[given + 1 :]), kwargs
        return args, {**kwargs, "closure": watched}

    def _after_closure(self, pending: _Pending, closure: Callable[[], Any]) -> Callable[[], Any]:
        """A closure computes the gradients inside the step: the state before the update is that after the closure."""

        def watched() -> Any:
            loss = closure()
            self._copy(pending)
            return loss

        return watched

    def _copy(self, pending: _Pending) -> None:
        notes: list[str] = []
        groups = self.optimizer.param_groups
        pending.dialect, pending.settings = settings_of(self._dialect, groups)
        scale, found = (getattr(self.optimizer, name, None) for name in ("grad_scale", "found_inf"))
        pending.grad_scale = 1.0 if scale is None else float(scale)
        pending.skipped = found is not None and float(found) != 0
        pending.params = []
        tensors: list[tuple[Tensor, int, int]] = []
        for index, group in enumerate(groups):
            for k, tensor in enumerate(group["params"]):
                why = not_watched(tensor, group)
                if why:
                    notes.append(f"not watched: {self._name(tensor, index, k)!r}, {why}")
                else:
                    tensors.append((tensor, index, k))
        active = [entry for entry in tensors if entry[0].grad is not None]
        idle = [entry for entry in tensors if entry[0].grad is None]
        if len(idle) > IDLE:
            idle = [idle[k] for k in sorted(self._sampler.choose(len(idle), IDLE))]
        drawn = [
            *zip(active, self._sampler.draw([local(entry[0]) for entry in active])),
            *((entry, self._sampler.rest(local(entry[0]), IDLE)) for entry in idle),
        ]
        place = {id(entry[0]): number for number, entry in enumerate(tensors)}
        for (tensor, index, k), own in sorted(drawn, key=lambda pair: place[id(pair[0][0])]):
            state = self.optimizer.state.get(tensor, {})
            name = self._name(tensor, index, k)
            count = count_of(state, groups[index])
            if count is None:
                notes.append(f"not watched: {name!r}, its state has no step count")
                continue
            if pending.dialect == "torch.NAdam" and state and not is_product(state, groups[index], count):
                notes.append(f"not judged: {name!r}, its mu_product is not that of the present settings (a schedule of beta1?)")
                continue
            arrays = {array: take(values, own.rows) for array, values in self._arrays(tensor, state).items()}
            pending.params.append(_Before(tensor, name, index, own, arrays, count))
        pending.notes = tuple(notes)

    def _arrays(self, tensor: Tensor, state: Mapping[str, Any]) -> dict[str, Tensor]:
        names = OWN_NAMES.get(self._dialect, {})
        own = {array: state.get(names.get(array, array)) for array in ARRAYS[1:]}
        return {"param": local(tensor), **{array: local(values) for array, values in own.items() if values is not None}}

    def _name(self, tensor: Tensor, group: int, k: int, optimizer: Any = None) -> str:
        own = (optimizer or self.optimizer).param_groups[group].get("param_names")
        name = self._names.get(id(tensor)) or (own[k] if own else f"group{group}.{k}")
        return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".-") or "param"

    def _end(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        pending = self._pending
        if pending is None or pending.frame is not sys._getframe(1):
            return
        self._pending = None
        if not pending.settings:
            self.session.note("the closure was not called, and the call is not judged")
            return
        samples: list[Sample] = []
        last: list[tuple[_Before, dict[str, Array], float, Rows]] = []
        notes, facts = list(pending.notes), list[Fact]()
        for before in pending.params:
            state = optimizer.state.get(before.tensor, {})
            count = count_of(state, optimizer.param_groups[before.group]) if state else before.count
            few = before.drawn.rows.first(REMEMBERED[1])
            after = {array: take(values, before.drawn.rows) for array, values in self._arrays(before.tensor, state).items()}
            if count is None or any(after[array].shape != before.arrays[array].shape for array in before.arrays if array in after):
                notes.append(f"not judged: {before.name!r}, its state is another after the call")
                continue
            samples.append(_sample(before, after, count))
            if len(last) < REMEMBERED[0]:
                last.append((before, {array: values[: REMEMBERED[1]].copy() for array, values in after.items()}, count, few))
            if pending.dialect == "torch.NAdam" and state and not is_product(state, optimizer.param_groups[before.group], count):
                facts.append(Fact(before.name, "mu_product", f"mu_product of {before.name!r} is not the product of its momenta"))
        watched = Watched(
            number=pending.number,
            dialect=pending.dialect,
            settings=pending.settings,
            samples=tuple(samples),
            grad_scale=pending.grad_scale,
            skipped=pending.skipped,
            notes=tuple(notes),
            facts=tuple(facts),
            formats=self._formats,
        )
        judgement = self.session.judge(watched)
        self._last, self._loaded = last, False
        changed = [before.name for before in pending.params if not _gradient_kept(before)] if judgement.failing else []
        if changed and pending.grad_scale == 1.0:
            if pending.others:
                self.session.note(f"the gradient of {changed[0]!r} changed after it was copied (another hook?); the call is not judged")
                return
            words = f"the gradient of {changed[0]!r} itself was changed inside the step"
            judgement = replace(judgement, facts=(*judgement.facts, Fact(changed[0], "gradient", words)))
        self.session.take(watched, judgement)

    def _digest(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Digest the replicas after a call that is judged, of ZeroRedundancyOptimizer once it has sent the parameters around."""
        if self._meeting is None or not self._meeting.members or not self._due or self._pending is not None:
            return  # a pending call: this is the step of a base class inside that of a subclass
        everywhere = self._outer is self.optimizer  # else the moments of a parameter are on one rank alone
        arrays = []
        for index, group in enumerate(optimizer.param_groups):
            for k, tensor in enumerate(group["params"]):
                if is_shard(tensor):
                    self.session.note("a DTensor is no replica, and is not compared with other ranks")
                elif self._meeting.claims(tensor) and tensor.layout is torch.strided and tensor.device.type != "meta":
                    state = self.optimizer.state.get(tensor, {}) if everywhere else {}
                    name = self._name(tensor, index, k, optimizer)
                    count = count_of(state, group) if everywhere else None
                    arrays.append((name, self._arrays(tensor, state), count))
        self._meeting.take(self.session.calls, arrays)

    def _compare_with_last(self) -> None:
        """Whether the state is, bit for bit, what the call before left."""
        last, self._last = self._last, []
        if not last:
            return
        between = f"between calls {self.session.calls - 1} and {self.session.calls}"
        if self._loaded:
            self.session.note(f"a state was loaded {between}")
            return
        for before, after, count, rows in last:
            state = self.optimizer.state.get(before.tensor, {})
            arrays = self._arrays(before.tensor, state)
            changed = [array for array, values in after.items() if array not in arrays or not same_bits(take(arrays[array], rows), values)]
            if state and count_of(state, self.optimizer.param_groups[before.group]) != count:
                changed.append("step")
            if changed:
                self._changed(f"{', '.join(changed)} of {before.name!r} changed {between}")

    def _changed(self, words: str) -> None:
        self.session.note(words)
        if self.on_change != "note":
            self.session.change(words, self.on_change)


def _is_running(frame: FrameType, current: FrameType | None) -> bool:
    while current is not None:
        if current is frame:
            return True
        current = current.f_back
    return False


def _sample(before: _Before, after: dict[str, Array], count: float) -> Sample:
    drawn = before.drawn
    return Sample(
        name=before.name,
        group=before.group,
        before=before.arrays,
        after=after,
        gradient=drawn.gradient,
        rows=drawn.occurrences,
        places=drawn.rows.numbers,
        updated=drawn.updated,
        population=drawn.population,
        drawn=drawn.by_chance,
        counts=(before.count, count),
        dense=drawn.rows.width == 0,
    )


def _gradient_kept(before: _Before) -> bool:
    """Whether the gradient is still what was copied; where it is gone, nobody can tell."""
    if before.drawn.gradient is None or before.tensor.grad is None:
        return True
    return same_bits(take_gradient(local(before.tensor), before.drawn), before.drawn.gradient)
