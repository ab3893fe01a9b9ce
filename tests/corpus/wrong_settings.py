"""Wrong: hyper-parameters that are not read, read too early or too late, exchanged, or off by a factor or a summand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refimpl.case import Step

from .dialects import ADAM, ALL, APART, DENSIFIED, LAZY, SPARSE, Settings
from .hooks import Hooks, base, with_settings
from .implementation import Call, Implementation, Slot
from .table import NO_CAUSE, Row, named, placed, refused_because, wrong

TORCH = (SPARSE, ADAM)
MINDSPORE = (LAZY, APART, DENSIFIED)
DECAYING = (ADAM, LAZY, APART, DENSIFIED)
DEFAULTS = Settings(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8)


def default(role: str) -> Hooks:
    return with_settings(lambda run, slot, s: {role: getattr(DEFAULTS, role)})


def scaled(role: str, factor: float) -> Hooks:
    return with_settings(lambda run, slot, s: {role: getattr(s, role) * factor})


def shifted(role: str, summand: float) -> Hooks:
    return with_settings(lambda run, slot, s: {role: getattr(s, role) + summand})


def first_value(*roles: str) -> Hooks:
    return with_settings(lambda run, slot, s: pick(Settings.of(run.case.groups[slot.param.group].hyper), roles))


def first_group(*roles: str) -> Hooks:
    return with_settings(lambda run, slot, s: pick(Settings.of(run.hypers[0]), roles))


def pick(s: Settings, roles: tuple[str, ...]) -> dict[str, Any]:
    return {role: getattr(s, role) for role in roles}


def last_step(*roles: str) -> Hooks:
    """Each step reads what the schedule gave before it."""

    def changes(run: Implementation, step: Step) -> list[Mapping[str, Any]]:
        run.__dict__["before"] = [dict(hyper) for hyper in run.hypers]
        return base.changes(run, step)

    return {"changes": changes, **with_settings(lambda run, slot, s: pick(Settings.of(run.__dict__["before"][slot.param.group]), roles))}


def next_step(*roles: str) -> Hooks:
    def ahead(run: Implementation, slot: Slot, s: Settings) -> dict[str, Any]:
        group, coming = slot.param.group, run.case.steps[run.number : run.number + 1]
        change = coming[0].hyper[group] if coming and coming[0].hyper else {}
        return pick(Settings.of({**run.hypers[group], **change}), roles)

    return with_settings(ahead)


def decays_with(rate: Callable[[Implementation, Call, float], float]) -> Hooks:
    """A decoupled decay whose rate is another. rate: from the run, the call and the right rate."""
    return {"decay_rate": lambda run, call: rate(run, call, base.decay_rate(run, call))}


def first_lr(run: Implementation, call: Call) -> Any:
    return Settings.of(run.case.groups[call.group].hyper).lr


def decay_by_lr_over_first(run: Implementation, call: Call, rate: float) -> Any:
    """nnabla: decay times lr / first lr."""
    first = first_lr(run, call)
    return call.s.weight_decay * (call.s.lr / first if first else float("nan"))


def changes_gradient(change: Callable[[np.ndarray], np.ndarray]) -> Hooks:
    def occurrences(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        rows, values = base.occurrences(run, call, gradient)
        return rows, change(values)

    return {"occurrences": occurrences}


def clipped_norm(values: np.ndarray) -> np.ndarray:
    norm = np.sqrt(np.sum(np.square(values, dtype=np.float64)))
    return values / values.dtype.type(norm) if norm > 1 else values


def first_schedule_for_all(run: Implementation, step: Step) -> list[Mapping[str, Any]]:
    return [step.hyper[0]] * len(step.hyper) if step.hyper else base.changes(run, step)


def only_lr(run: Implementation, step: Step) -> list[dict[str, Any]]:
    return [{name: value for name, value in change.items() if name in ("lr", "learning_rate")} for change in base.changes(run, step)]


def warmup(run: Implementation, slot: Slot, s: Settings) -> dict[str, Any]:
    return {"lr": s.lr * min(1.0, (slot.count + 1) / 10)}


row = partial(wrong, dialects=ALL)
SCHEDULED = ("schedules/*", "pairs/*schedule*")
GROUPED = ("groups/*", "schedules/*", "pairs/*groups*")
DECOUPLED_BY_SCHEDULE = (
    "options/*",
    "pairs/decoupled-decay-and-schedule-*",
    "pairs/schedule-*-and-schedule-decoupled",
    "pairs/groups-and-schedule-decoupled",
)
DECAYED = ("options/*", "groups/*", "schedules/*", "pairs/*decay*", "pairs/*schedule-decoupled*")

# fmt: off
ROWS: tuple[Row, ...] = (
    row("lr-not-read", "the default lr is used", "option not read", named("lr-not-read"), default("lr")),
    row("beta1-not-read", "the default beta1 is used", "option not read", named("beta1-not-read"), default("beta1"), cases=("betas/*", "groups/*")),
    row("beta2-not-read", "the default beta2 is used", "option not read", named("beta2-not-read"), default("beta2"), cases=("betas/*", "groups/*")),
    row("eps-not-read", "the default eps is used", "option not read", named("eps-not-read"), default("eps"), cases=("eps/*",)),
    wrong("weight-decay-not-read", "weight decay is ignored", "FlagGems 4989", named("decay-ignored", "weight-decay-not-read"), default("weight_decay"),
          dialects=DECAYING, cases=DECAYED),
    wrong("loss-scale-not-read", "the loss scale is ignored", "pytorch 94060", named("loss-scale-ignored", "loss-scale-not-read"), default("loss_scale"),
          dialects=MINDSPORE, cases=("options/*", "pairs/*loss-scale*")),
    *(row(f"{role}-first-value", f"changes of {role} are not read", "read once", named(f"{role}-first-value", "schedule-ignored"), first_value(role), cases=SCHEDULED,
          dialects=ALL if role == "lr" else TORCH) for role in ("lr", "beta1", "beta2", "eps")),
    wrong("betas-first-value", "changes of the betas are not read", "read once", named("betas-first-value", "beta1-first-value", "beta2-first-value"),
          first_value("beta1", "beta2"), dialects=TORCH, cases=SCHEDULED),
    wrong("weight-decay-first-value", "changes of weight_decay are not read", "read once", named("weight-decay-first-value", "schedule-ignored"),
          first_value("weight_decay"), dialects=DECAYING, cases=SCHEDULED),
    *(row(f"{role}-first-group", f"the first group's {role} for every group", "groups not read", named(f"{role}-first-group", "settings-first-group"),
          first_group(role), cases=GROUPED, dialects=ALL if role == "lr" else TORCH) for role in ("lr", "beta1", "beta2", "eps")),
    row("lr-last-group", "the last group's lr for every group", "one variable", named("lr-last-group", "settings-last-group"),
        with_settings(lambda run, slot, s: {"lr": Settings.of(run.hypers[-1]).lr}), cases=GROUPED),
    wrong("weight-decay-first-group", "the first group's weight decay for every group", "groups not read",
          named("weight-decay-first-group", "settings-first-group"), first_group("weight_decay"), dialects=DECAYING, cases=GROUPED),
    wrong("amsgrad-first-group", "the first group's amsgrad for every group", "groups not read", named("amsgrad-first-group", "settings-first-group"),
          first_group("amsgrad"), dialects=(ADAM,), cases=("groups/*", "pairs/*amsgrad*")),
    wrong("maximize-first-group", "the first group's maximize for every group", "groups not read", named("maximize-first-group", "settings-first-group"),
          first_group("maximize"), dialects=TORCH, cases=("groups/*", "pairs/*maximize*")),
    row("settings-first-group", "the first group's settings for every group", "groups not read", named("settings-first-group", "lr-first-group"),
        {"settings": lambda run, slot: Settings.of(run.hypers[0])}, cases=GROUPED),
    row("lr-last-step", "lr is that of the step before", "scheduler and optimizer exchanged", named("lr-last-step", "schedule-late"), last_step("lr"), cases=SCHEDULED),
    wrong("betas-last-step", "betas are those of the step before", "scheduler and optimizer exchanged", named("betas-last-step", "beta1-last-step", "beta2-last-step", "schedule-late"),
          last_step("beta1", "beta2"), dialects=TORCH, cases=SCHEDULED),
    row("lr-next-step", "lr is that of the next step", "optax 1744", named("lr-next-step", "schedule-first-skipped"), next_step("lr"), cases=SCHEDULED),
    row("schedule-late", "each change is read one step late", "mutant", named("schedule-late", "lr-last-step"),
        last_step("lr", "beta1", "beta2", "eps", "weight_decay", "maximize", "amsgrad", "decoupled"), cases=SCHEDULED),
    row("schedule-early", "each change is read one step early", "optax 1744", named("schedule-first-skipped", "lr-next-step"),
        next_step("lr", "beta1", "beta2", "eps", "weight_decay", "maximize", "amsgrad", "decoupled"), cases=SCHEDULED),
    row("schedule-ignored", "changes are ignored", "read once", named("schedule-ignored", "lr-first-value"), {"changes": lambda run, step: [{} for _ in run.hypers]}, cases=SCHEDULED),
    wrong("only-lr-scheduled", "only changes of lr are read", "a scheduler knows lr", named("betas-first-value", "beta1-first-value", "beta2-first-value", "eps-first-value", "maximize-first-value", "weight-decay-first-value").or_none(), {"changes": only_lr}, dialects=(SPARSE, ADAM), cases=SCHEDULED),
    row("first-schedule-for-all", "the first group's changes for every group", "one scheduler", named("lr-first-group", "eps-first-group", "settings-first-group", "beta1-first-group", "beta2-first-group").or_none(), {"changes": first_schedule_for_all}, cases=GROUPED),
    row("lr-x-1.0001", "lr is 1.0001 times too large", "a factor", named("lr-scaled").or_none(), scaled("lr", 1.0001)),
    row("lr-x-0.99", "lr is 1 % too small", "a factor", named("lr-scaled"), scaled("lr", 0.99)),
    row("lr-x-2", "lr is doubled", "two devices", named("lr-scaled", "applied-twice"), scaled("lr", 2.0)),
    row("lr-plus-1e-6", "lr is 1e-6 too large", "a summand", named("lr-offset").or_none(), shifted("lr", 1e-6)),
    row("lr-in-steps", "lr is rounded to multiples of 0.001", "a table", NO_CAUSE, with_settings(lambda run, slot, s: {"lr": round(s.lr, 3)}), cases=("basics/*",)),
    row("warmup-nobody-asked", "lr grows over the first ten steps", "a default of a trainer", NO_CAUSE, with_settings(warmup)),
    row("eps-x-10", "eps is ten times too large", "a factor", named("eps-scaled"), scaled("eps", 10.0), cases=("eps/*",)),
    row("eps-x-1.1", "eps is 10 % too large", "a factor", named("eps-scaled"), scaled("eps", 1.1), cases=("eps/*",)),
    row("eps-plus-1e-4", "eps is 1e-4 too large", "a summand", named("eps-offset"), shifted("eps", 1e-4), cases=("eps/*",)),
    row("eps-is-1e-6", "eps is 1e-6, whatever is asked", "another default", placed("eps.*(1e-0?6|not read)").or_none(), with_settings(lambda run, slot, s: {"eps": 1e-6}), cases=("eps/*",)),
    row("eps-at-least-1e-7", "eps is at least 1e-7", "keras's epsilon", placed("eps.*at least").or_none(), with_settings(lambda run, slot, s: {"eps": max(s.eps, 1e-7)}), cases=("eps/*",)),
    row("beta1-plus-1e-5", "beta1 is 1e-5 too large", "a summand", named("beta1-offset"), with_settings(lambda run, slot, s: {"beta1": s.beta1 + 1e-5 if s.beta1 else 0.0})),
    row("beta2-plus-1e-6", "beta2 is 1e-6 too large", "a summand", named("beta2-offset"), with_settings(lambda run, slot, s: {"beta2": s.beta2 + 1e-6 if s.beta2 else 0.0})),
    row("beta2-is-0.99", "beta2 is 0.99, whatever is asked", "another default", placed(r"beta2.*0\.99\b").or_none(), with_settings(lambda run, slot, s: {"beta2": 0.99})),
    row("beta1-twice", "beta1 stands for beta2 too", "one variable", placed("beta1.*(beta2|both|twice)").or_none(), with_settings(lambda run, slot, s: {"beta2": s.beta1})),
    row("betas-swapped", "beta1 and beta2 exchanged", "mutant", named("betas-swapped"), with_settings(lambda run, slot, s: {"beta1": s.beta2, "beta2": s.beta1})),
    row("betas-to-3-digits", "betas are rounded to three digits", "a table", placed("betas?.*round").or_none(), with_settings(lambda run, slot, s: {"beta1": round(s.beta1, 3), "beta2": round(s.beta2, 3)}), cases=("betas/*",)),
    row("lr-eps-exchanged", "lr and eps exchanged", "positional arguments", named("lr-eps-exchanged"), with_settings(lambda run, slot, s: {"lr": s.eps, "eps": s.lr})),
    wrong("decay-and-eps-exchanged", "weight_decay and eps exchanged", "positional arguments", named("eps-weight-decay-exchanged"),
          with_settings(lambda run, slot, s: {"weight_decay": s.eps, "eps": s.weight_decay}), dialects=DECAYING),
    wrong("weight-decay-x-2", "weight decay is doubled", "derivative of the square", named("weight-decay-scaled"), scaled("weight_decay", 2.0), dialects=DECAYING, cases=DECAYED),
    wrong("weight-decay-halved", "weight decay is halved", "derivative of the square", named("weight-decay-scaled"), scaled("weight_decay", 0.5), dialects=DECAYING, cases=DECAYED),
    wrong("coupled-decay-times-lr", "a coupled decay is multiplied by lr", "both conventions at once", named("weight-decay-scaled").or_placed("decay.*lr").or_none(),
          with_settings(lambda run, slot, s: {} if s.decoupled else {"weight_decay": s.weight_decay * s.lr}), dialects=DECAYING, cases=DECAYED),
    wrong("loss-scale-twice", "the gradient is divided by the loss scale twice", "pytorch 95847", named("loss-scale-twice"),
          {"unscale": lambda run, call, g: base.unscale(run, call, base.unscale(run, call, g))}, dialects=MINDSPORE, cases=("options/*", "pairs/*loss-scale*")),
    wrong("loss-scale-is-1024", "the loss scale is 1024, whatever is asked", "another default", named("gradient-scaled", "loss-scale-scaled", "loss-scale-constant").or_placed("loss.scale.*1,?024").or_none(), with_settings(lambda run, slot, s: {"loss_scale": 1024.0}), dialects=MINDSPORE),
    row("gradient-halved", "gradients are halved", "a missing world size", named("gradient-scaled"), changes_gradient(lambda g: g * g.dtype.type(0.5))),
    row("gradient-over-65536", "gradients are divided by 65536", "DeepSpeed PR 7839", named("gradient-scaled"), changes_gradient(lambda g: g / g.dtype.type(65536))),
    row("gradient-x-1.001", "gradients are 0.1 % too large", "a factor", named("gradient-scaled"), changes_gradient(lambda g: g * g.dtype.type(1.001))),
    row("gradient-clipped-at-100", "gradients are clipped to +-100", "a guard", placed("gradients?.*clip").or_none(), changes_gradient(lambda g: np.clip(g, -100, 100)), cases=("ranges/*", "duplicates/opposite-*", "pairs/*dense", "pairs/plain*")),
    row("gradient-clipped-at-1", "gradients are clipped to +-1", "a guard", placed("gradients?.*clip").or_none(), changes_gradient(lambda g: np.clip(g, -1, 1))),
    row("gradient-norm-clipped", "gradients are scaled to a norm of 1 at most", "a guard", NO_CAUSE, changes_gradient(clipped_norm)),
    row("nan-becomes-zero", "nan in a gradient counts as zero", "a guard", placed("nan.*(zero|0)").or_none(), changes_gradient(np.nan_to_num), cases=("ranges/*",)),
    wrong("decoupled-lr-first-value", "a decoupled decay reads lr once", "chainer 7365, apex 1849", named("decay-lr-first-value"),
          decays_with(lambda run, call, rate: first_lr(run, call) * call.s.weight_decay), dialects=(ADAM,), cases=DECOUPLED_BY_SCHEDULE),
    wrong("decoupled-lr-first-group", "a decoupled decay reads the first group's lr", "groups not read", named("decay-lr-first-group"),
          decays_with(lambda run, call, rate: Settings.of(run.hypers[0]).lr * call.s.weight_decay), dialects=(ADAM,), cases=DECOUPLED_BY_SCHEDULE),
    wrong("decoupled-decay-first-value", "a decoupled decay reads weight_decay once", "chainer 7365", named("weight-decay-first-value"),
          decays_with(lambda run, call, rate: call.s.lr * Settings.of(run.case.groups[call.group].hyper).weight_decay), dialects=(ADAM,), cases=DECOUPLED_BY_SCHEDULE),
    wrong("decoupled-lr-over-first", "a decoupled decay is multiplied by lr / first lr", "nnabla 1.39.0", named("decay-lr-relative"), decays_with(decay_by_lr_over_first), dialects=(ADAM,), cases=DECAYED),
    wrong("decoupled-without-lr", "a decoupled decay is not multiplied by lr", "Keras 22a3d41589, tfa 2282", named("decay-without-lr"),
          decays_with(lambda run, call, rate: call.s.weight_decay), dialects=(ADAM,), cases=DECAYED),
    wrong("decoupled-times-step-size", "the bias correction also scales the decay", "Oneflow 5960", named("decay-times-step-size"),
          decays_with(lambda run, call, rate: call.s.lr * np.sqrt(call.c2) / call.c1 * call.s.weight_decay), dialects=(ADAM,), cases=DECAYED),
    wrong("decoupled-zero-over-zero", "lr / lr in the decay is nan where lr is 0", "0/0", placed("nan|lr.*is 0").or_none(),
          decays_with(lambda run, call, rate: rate * float(np.float64(call.s.lr) / np.float64(call.s.lr))), dialects=(ADAM,), cases=("basics/*", "options/*")),
    row("accepts-anything", "no setting is refused", "no checks", refused_because("accepted what must be refused"), {"validate": lambda run, hyper: None}, cases=("refused/*",)),
)
# fmt: on
