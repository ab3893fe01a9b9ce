"""Wrong: a stage of the step as in another variant of Adam: eps, corrections, decay, maxima, look-ahead, sign, and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .dialects import ADAM, ALL, APART, DENSIFIED, LAZY, SPARSE
from .hooks import Hooks, base, with_settings
from .implementation import Arrays, Call, Implementation
from .table import NO_CAUSE, Row, named, placed, wrong

HAT = (SPARSE, LAZY, APART, DENSIFIED)
MINDSPORE = (LAZY, APART, DENSIFIED)
DECAYING = (ADAM, LAZY, APART, DENSIFIED)
OPTIONS = ("options/*", "groups/*", "schedules/*", "pairs/*")


def divides_by(denominator: Callable[[Call, np.ndarray, Any], np.ndarray], size: Callable[[Call], Any] | None = None) -> Hooks:
    """Another change of p. denominator: from the call, v and eps; size: what d is multiplied by, the folded step size by default."""
    size = size or (lambda call: call.s.lr * np.sqrt(call.c2) / call.c1)
    return {"change": lambda run, call, d, v: d * call.scalar(size(call)) / denominator(call, v, call.scalar(run.eps(call)))}


def lr_over_c1(call: Call) -> float:
    return call.s.lr / call.c1


def paper(call: Call, v: np.ndarray, eps: Any) -> np.ndarray:
    return np.sqrt(v) / call.scalar(np.sqrt(call.c2)) + eps


def inside(call: Call, v: np.ndarray, eps: Any) -> np.ndarray:
    return np.sqrt(v / call.scalar(call.c2) + eps)


def decays(amount: Callable[[Call, np.ndarray], np.ndarray]) -> Hooks:
    """A coupled decay of its own. amount: what is added to the gradient, from the call and p."""
    return {"decay": lambda run, call, values, p: values + amount(call, p) if call.s.weight_decay else values}


def decays_after_merge(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, g = base.merge(run, call, rows, g)
    return rows, g + call.table("param")[rows] * call.scalar(call.s.weight_decay)


def decays_all_rows(run: Implementation, call: Call, rows: np.ndarray, values: np.ndarray) -> None:
    """The whole table decays as in AdamW, then moves without a decay of its own."""
    call.table("param")[...] *= call.scalar(1 - call.s.lr * call.s.weight_decay)
    base.apply(run, call, rows, values)


def decays_touched(run: Implementation, call: Call, rows: np.ndarray, values: np.ndarray) -> None:
    touched = np.unique(rows)
    call.table("param")[touched] *= call.scalar(1 - call.s.lr * call.s.weight_decay)
    base.apply(run, call, rows, values)


def uncoupled(apply: Callable[..., None]) -> Hooks:
    return {"decay": lambda run, call, values, p: values, "apply": apply}


def shrinks_last(run: Implementation, call: Call, rows: np.ndarray, values: np.ndarray) -> None:
    """Decoupled decay after the update."""
    if call.s.decoupled:
        shrink, run.__dict__["shrink"] = run.shrink, lambda call, rows: None
        base.apply(run, call, rows, values)
        del run.__dict__["shrink"]
        shrink(call, rows)
    else:
        base.apply(run, call, rows, values)


def stores_corrected(array: str, correction: Callable[[Call], Any]) -> Hooks:
    """The corrected moment is written into the state."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        base.store(run, call, rows, {**new, array: new[array] / call.scalar(correction(call))})

    return {"store": store}


def clipped(limit: float) -> Hooks:
    def change(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
        most = call.scalar(limit * call.s.lr)
        return np.clip(base.change(run, call, d, v), -most, most)

    return {"change": change}


def centralizes(applies: Callable[[tuple[int, ...]], bool]) -> Hooks:
    return {"centralize": lambda run, call, g: g - g.mean(axis=1, keepdims=True) if applies(call.slot.param.value.shape) else g}


def centralizes_first(run: Implementation, call: Call, values: np.ndarray, p: np.ndarray) -> np.ndarray:
    g = base.centralize(run, call, values) if call.s.centralization else values
    return run.unscale(call, run.decay(call, g, p))


def keeps_corrected_maximum(run: Implementation, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not call.s.amsgrad:
        return largest, v
    largest = np.maximum(largest, v / call.scalar(call.c2))
    return largest, largest * call.scalar(call.c2)


def keeps_root_of_maximum(run: Implementation, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """geoopt: the maximum is kept as a corrected root."""
    if not call.s.amsgrad:
        return largest, v
    largest = np.maximum(largest, np.sqrt(v / call.scalar(call.c2)))
    return largest, largest * largest * call.scalar(call.c2)


def loses_maximum(run: Implementation, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (largest, np.maximum(largest, v)) if call.s.amsgrad else (largest, v)


def maximum_after(run: Implementation, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step divides by the maximum from before."""
    return (np.maximum(largest, v), np.where(largest > 0, largest, v)) if call.s.amsgrad else (largest, v)


def nadam_direction(run: Implementation, call: Call, old: Arrays, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    c1_next = 1 - call.s.beta1 ** (call.t + 1)
    look = m * call.scalar(call.s.beta1 / c1_next) + g * call.scalar((1 - call.s.beta1) / call.c1)
    return look * call.scalar(call.c1)  # the step size divides by c1


def twice(run: Implementation, call: Call, p: np.ndarray, change: np.ndarray) -> np.ndarray:
    return p - change - change


def all_rows(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    whole = np.zeros(call.shape, g.dtype)
    whole[rows] = g
    return np.arange(call.shape[0]), whole


def old_moments(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
    new = base.advance(run, call, old, g)
    change = run.change(call, old["exp_avg"], old["exp_avg_sq"])
    return {**new, "param": old["param"] - change, "change": change}


def stale(array: str) -> Hooks:
    """The step is made with one moment from before."""

    def advance(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
        new = base.advance(run, call, old, g)
        used = {"exp_avg": new["exp_avg"], "exp_avg_sq": new["exp_avg_sq"], array: old[array]}
        change = run.change(call, used["exp_avg"], used["exp_avg_sq"])
        return {**new, "param": old["param"] - change, "change": change}

    return {"advance": advance}


def catch_up(extra: int) -> Hooks:
    """A row first makes the steps that it missed."""

    def move(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
        seen = run.__dict__.setdefault("seen", {}).setdefault((call.name, call.shape), np.full(call.shape[0], call.slot.param.step))
        t, c1, c2 = call.t, call.c1, call.c2
        missed = t - 1 - seen[rows]
        for back in range(int(missed.max(initial=0)) + extra, 0, -1):
            late = rows[missed + extra >= back]
            call.t = max(t - back, 1)
            call.c1, call.c2 = run.corrections(call)
            base.move(run, call, late, np.zeros((len(late), call.shape[1]), call.dtype))
        call.t, call.c1, call.c2 = t, c1, c2
        seen[rows] = t
        base.move(run, call, rows, g)

    return {"move": move}


def becomes_sgd(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """thinc 9.1.1: beta2 = 0 becomes plain gradient descent."""
    return d * call.scalar(call.s.lr) if call.s.beta2 == 0 else base.change(run, call, d, v)


def dense_only(changed: dict[str, Any]) -> Hooks:
    """Other settings for a dense gradient."""
    return {"call": lambda run, slot, gradient: _without(base.call(run, slot, gradient), changed)}


def _without(call: Call, changed: dict[str, Any]) -> Call:
    if call.form == "dense":
        call.s = replace(call.s, **changed)
    return call


row = partial(wrong, dialects=ALL)
option = partial(wrong, cases=OPTIONS)


def decays_untouched_too(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coupled decay of the whole table: rows that are not stored have their decay as gradient."""
    distinct, total = base.merge(run, call, rows, g)
    whole = np.zeros(call.shape, g.dtype)
    whole[distinct] = total
    return np.arange(call.shape[0]), whole + call.table("param") * call.scalar(call.s.weight_decay)


def decays_moment(run: Implementation, call: Call, old: Arrays, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The decay is added to the direction of the step and is in no moment."""
    return base.direction(run, call, old, m, g) + old["param"] * call.scalar(call.s.weight_decay)


def divided_by_beta1(run: Implementation, call: Call, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    return (m + g * call.scalar(1 - call.s.beta1) / call.scalar(call.s.beta1)) * call.scalar(call.s.beta1)


def v_of_averages(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
    m = run.first_moment(call, old["exp_avg"], g)
    v = run.average(call, old["exp_avg_sq"], m * m, call.s.beta2)
    change = run.change(call, m, v)
    return {"param": old["param"] - change, "exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": old["max_exp_avg_sq"], "change": change}


def belief(run: Implementation, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    return run.average(call, v, (g - g.mean()) ** 2 if g.size else g, call.s.beta2)


def when(option: str, changed: dict[str, Any]) -> Hooks:
    """Other settings where an option is on."""
    return with_settings(lambda run, slot, s: changed if getattr(s, option) else {})


# fmt: off
ROWS: tuple[Row, ...] = (
    row("paper-eps", "eps stands beside sqrt(v_hat)", "torch.optim.Adam", named("eps-beside-sqrt-v-hat"), divides_by(paper, lr_over_c1), dialects=HAT, cases=("eps/*",)),
    row("hat-eps", "eps stands beside sqrt(v)", "tensorflow 9047", named("eps-beside-sqrt-v"), divides_by(lambda call, v, eps: np.sqrt(v) + eps), dialects=(ADAM,), cases=("eps/*",)),
    row("eps-inside", "eps stands inside the root of v_hat", "Flux 448, optax eps_root", named("eps-inside-root"), divides_by(inside, lr_over_c1), cases=("eps/*",)),
    row("eps-inside-hat", "eps stands inside the root of v", "apex", named("eps-inside-root-of-v"), divides_by(lambda call, v, eps: np.sqrt(v + eps)), cases=("eps/*",)),
    row("eps-squared-inside", "the square of eps stands inside the root of v", "one root saved", named("eps-squared-inside-root"), divides_by(lambda call, v, eps: np.sqrt(v + eps * eps)), cases=("eps/*",)),
    row("eps-as-maximum", "sqrt(v) is at least eps", "a guard", named("eps-as-maximum"), divides_by(lambda call, v, eps: np.maximum(np.sqrt(v), eps)), dialects=HAT, cases=("eps/*",)),
    row("eps-subtracted", "eps is subtracted", "Keras 2f003f9f11", named("eps-subtracted"), divides_by(lambda call, v, eps: np.sqrt(v) - eps), dialects=HAT, cases=("eps/*",)),
    row("eps-dropped", "eps is not added", "rounded to zero", named("eps-dropped"), {"eps": lambda run, call: 0.0}, cases=("eps/*",)),
    row("eps-over-step-size", "eps is divided by the step size", "pytorch 186444", named("eps-over-step-size").or_none(),
        {"change": lambda run, call, d, v: d / (np.sqrt(v) / call.scalar(np.sqrt(call.c2)) / call.scalar(lr_over_c1(call)) + call.scalar(call.s.eps) / call.scalar(lr_over_c1(call)))},
        dialects=(ADAM,), cases=("eps/*", "basics/*")),
    row("eps-after-1000", "eps is multiplied by sqrt(c2) after 1000 steps", "two kernels", placed("eps.*1,?000").or_none(), {"eps": lambda run, call: call.s.eps * np.sqrt(call.c2) if call.t > 1000 else call.s.eps},
        dialects=HAT, cases=("resumed/*",)),
    row("root-missing", "the step divides by v, not by its root", "root forgotten", NO_CAUSE, {"root": lambda run, call, v: v}),
    row("no-momentum", "moves with the gradient", "mutant", named("no-momentum"), {"direction": lambda run, call, old, m, g: g}),
    row("old-moments", "moves with the moments from before", "HugeCTR LazyGlobal", named("moves-before-gradient"), {"advance": old_moments}),
    row("stale-exp-avg", "moves with the first moment from before", "a view taken too early", named("stale-first-moment"), stale("exp_avg")),
    row("stale-exp-avg-sq", "divides by the second moment from before", "a view taken too early", named("stale-second-moment"), stale("exp_avg_sq")),
    row("divides-by-beta1", "m += (1-b1) g / b1, then m *= b1", "HugeCTR Global", named("divides-by-beta1").or_none(), {"first_moment": divided_by_beta1}, dialects=(SPARSE, ADAM), cases=("betas/*",)),
    row("applied-twice", "the change is applied twice", "Gorgonia 494", named("applied-twice", "lr-scaled"), {"moved": twice}, dialects=(SPARSE, ADAM, LAZY, DENSIFIED)),
    row("sign-flipped", "moves up the gradient", "mutant", named("sign-flipped", "gradient-scaled"), {"signed": lambda run, call, values: -base.signed(run, call, values)}, dialects=MINDSPORE),
    row("exp-avg-unweighted", "m takes in the whole gradient", "SGD's momentum", named("first-moment-unweighted"), {"first_moment": lambda run, call, m, g: m * call.scalar(call.s.beta1) + g}),
    row("v-of-averages", "v takes the square of m", "AdaBelief half done", NO_CAUSE, {"advance": v_of_averages}, dialects=(SPARSE, ADAM)),
    row("belief", "v takes the square of g less its mean", "AdaBelief", NO_CAUSE, {"second_moment": belief}, dialects=(SPARSE, ADAM)),
    row("absolute-v", "v takes |g|, not its square", "Adamax", NO_CAUSE, {"second_moment": lambda run, call, v, g: run.average(call, v, np.abs(g), call.s.beta2)}),
    row("one-v-per-row", "v is the mean of the squares of a row", "FBGEMM 3342", placed("mean.*row|row.*mean").or_none(),
        {"second_moment": lambda run, call, v, g: run.average(call, v, np.broadcast_to((g * g).mean(axis=1, keepdims=True), g.shape), call.s.beta2)}),
    *(row(f"clipped-at-{limit}-lr", f"the change is clipped to +-{limit} lr", "trust-region guards", named("update-clipped").or_placed("clip"), clipped(limit), cases=("resumed/far-above-root", "basics/*", "betas/*")) for limit in (1, 2, 10)),
    row("sparse-as-dense", "untouched rows decay their moments and move", "Keras 19992", named("sparse-as-dense"), {"touch": all_rows}, dialects=(SPARSE, LAZY)),
    row("dense-as-lazy", "rows that a sparse gradient does not store are left alone", "mindspore nn.Adam(use_lazy=True)", named("dense-as-lazy"), {"touch": lambda run, call, rows, g: (rows, g)}, dialects=(DENSIFIED,)),
    row("catch-up", "a row first makes the steps that it missed", "caffe2, pytorch 61548", named("catch-up"), catch_up(0), dialects=(SPARSE, LAZY), cases=("touched/*", "duplicates/*", "basics/*")),
    row("catch-up-and-one", "a row first makes the steps that it missed, and one more", "pytorch 62135", named("catch-up-off-by-one"), catch_up(1), dialects=(SPARSE, LAZY), cases=("touched/*", "basics/*")),
    option("maximize-ignored", "maximize is ignored", "pytorch_optimizer 528", named("maximize-ignored", "maximize-not-read"), with_settings(lambda run, slot, s: {"maximize": False}), dialects=(SPARSE, ADAM)),
    option("maximize-negates-decay", "maximize turns the decay around too", "sign turned too late", named("maximize-after-decay"),
           {"signed": lambda run, call, values: values, "prepare": lambda run, call, values, p: (-1 if call.s.maximize else 1) * base.prepare(run, call, values, p)}, dialects=(ADAM,)),
    option("amsgrad-ignored", "amsgrad is ignored", "option not read", named("amsgrad-ignored", "amsgrad-not-read"), with_settings(lambda run, slot, s: {"amsgrad": False}), dialects=(ADAM, DENSIFIED), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    option("amsgrad-lost", "the maximum is kept in a local", "pytorch 4034", named("amsgrad-lost"), {"maximum": loses_maximum}, dialects=(ADAM, DENSIFIED), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    option("amsgrad-corrected", "the maximum is taken over the corrected v", "optax 1389", named("amsgrad-corrected"), {"maximum": keeps_corrected_maximum}, dialects=(ADAM,)),
    option("amsgrad-keeps-v", "v is kept in the place of the maximum", "an alias", named("amsgrad-keeps-last-v"),
           {"maximum": lambda run, call, largest, v: (v, np.maximum(largest, v)) if call.s.amsgrad else (largest, v)}, dialects=(ADAM, DENSIFIED)),
    option("amsgrad-as-root", "the maximum is kept as a corrected root", "geoopt 0.5.1", placed("root.*(max|amsgrad)").or_none(), {"maximum": keeps_root_of_maximum}, dialects=(ADAM, DENSIFIED)),
    option("amsgrad-late", "the step divides by the maximum from before", "order", placed("max.*before").or_none(), {"maximum": maximum_after}, dialects=(ADAM, DENSIFIED)),
    row("amsgrad-always", "the maximum is taken although nobody asked", "option not read", named("amsgrad-always"),
        {"maximum": lambda run, call, largest, v: (np.maximum(largest, v),) * 2}, dialects=(ADAM, DENSIFIED)),
    option("amsgrad-off-if-decoupled", "amsgrad is ignored where decay is decoupled", "pytorch 78807", named("amsgrad-ignored", "amsgrad-not-read").or_placed("amsgrad"), when("decoupled", {"amsgrad": False}), dialects=(ADAM,), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    option("amsgrad-lost-if-decoupled", "the maximum is lost where decay is decoupled", "pytorch 78807", named("amsgrad-lost").or_placed("amsgrad"),
           {"maximum": lambda run, call, largest, v: (loses_maximum if call.s.decoupled else base.maximum)(run, call, largest, v)}, dialects=(ADAM,), cases=("pairs/*amsgrad*", "options/*amsgrad*")),
    option("nesterov-ignored", "use_nesterov is ignored", "option not read", named("nesterov-ignored", "nesterov-not-read"), with_settings(lambda run, slot, s: {"nesterov": False}), dialects=MINDSPORE, cases=("options/*", "pairs/*nesterov*")),
    row("nesterov-always", "the Nesterov direction although nobody asked", "TF1", named("nesterov"), with_settings(lambda run, slot, s: {"nesterov": True})),
    row("nadam", "NAdam's direction", "optax, returnn 766", named("nadam"), {"direction": nadam_direction}),
    option("nesterov-of-old", "the look-ahead starts from the old first moment, which gives the new one", "order", named("nesterov-ignored", "nesterov-not-read"),
           {"direction": lambda run, call, old, m, g: run.average(call, old["exp_avg"], g, call.s.beta1) if call.s.nesterov else m}, dialects=MINDSPORE),
    option("centralization-ignored", "centralization is ignored", "group key not read", named("centralization-ignored", "centralization-not-read"), with_settings(lambda run, slot, s: {"centralization": False}), dialects=MINDSPORE, cases=("options/*", "pairs/*centralization*")),
    row("centralization-always", "gradients are centralized although nobody asked", "group key not read", named("centralization-always"), with_settings(lambda run, slot, s: {"centralization": True}), dialects=MINDSPORE, cases=("shapes/widths-*", "sizes/width-*", "options/*")),
    option("centralization-at-8", "rows are centralized at multiples of 8 too", "another block", placed("centraliz.*8").or_none(), centralizes(lambda shape: len(shape) > 1 and shape[1] % 8 == 0), dialects=MINDSPORE, cases=("options/*", "pairs/*centralization*")),
    option("centralization-everywhere", "rows of every width are centralized", "rule not read", named("centralization-any-width"), centralizes(lambda shape: len(shape) > 1), dialects=MINDSPORE, cases=("options/*", "pairs/*centralization*")),
    option("centralization-before-decay", "gradients are centralized before the decay", "order", named("centralization-before-decay"), {"prepare": centralizes_first}, dialects=MINDSPORE, cases=("options/*", "pairs/*centralization*")),
    option("decay-ignored-if-rows", "decay is ignored by the row route", "FlagGems 4989", named("decay-ignored", "weight-decay-not-read", "coupled-decay-ignored"), {"decay": lambda run, call, values, p: values if call.form == "rows" else base.decay(run, call, values, p)}, dialects=MINDSPORE),
    option("dense-without-decay", "decay is ignored by the dense route", "options on one route", named("decay-ignored", "weight-decay-not-read", "coupled-decay-ignored"), dense_only({"weight_decay": 0.0}), dialects=MINDSPORE),
    option("dense-without-nesterov", "Nesterov is ignored by the dense route", "options on one route", named("nesterov-ignored", "nesterov-not-read"), dense_only({"nesterov": False}), dialects=MINDSPORE, cases=("options/*", "pairs/*nesterov*")),
    option("dense-without-loss-scale", "the loss scale is ignored by the dense route", "options on one route", named("loss-scale-ignored", "loss-scale-not-read"), dense_only({"loss_scale": 1.0}), dialects=MINDSPORE, cases=("options/*", "pairs/*loss-scale*")),
    option("decay-after-merging", "decay once per touched row, after merging", "mxnet 1.9.1", named("decay-after-merging"), {"decay": lambda run, call, values, p: values, "merge": decays_after_merge}, dialects=(LAZY,)),
    option("decay-of-all-rows", "coupled decay of the whole table", "mxnet 1.9.1, lazy_update off", named("decay-coupled-all-rows"), {"decay": lambda run, call, values, p: values,
           "merge": lambda run, call, rows, g: decays_untouched_too(run, call, rows, g) if call.s.weight_decay else base.merge(run, call, rows, g)}, dialects=(LAZY,)),
    option("decay-decoupled-touched", "decay is decoupled, on touched rows", "tfa 767, FBGEMM", named("decay-decoupled-touched", "decay-decoupled-all-rows"), uncoupled(decays_touched), dialects=MINDSPORE),
    option("decay-decoupled-all", "decay is decoupled, on all rows", "tfa 1970", named("decay-decoupled-all-rows"), uncoupled(decays_all_rows), dialects=MINDSPORE),
    option("decoupled-in-dense", "a coupled decay is decoupled", "Adam and AdamW exchanged", named("decay-decoupled-instead"),
           with_settings(lambda run, slot, s: {"decoupled": True}), dialects=(ADAM,)),
    option("coupled-instead", "a decoupled decay is coupled", "Adam and AdamW exchanged", named("decay-coupled-instead"), with_settings(lambda run, slot, s: {"decoupled": False}), dialects=(ADAM,)),
    option("decoupled-ignored", "a decoupled decay is ignored", "option not read", named("decoupled-decay-ignored"), when("decoupled", {"weight_decay": 0.0}), dialects=(ADAM,)),
    option("decay-after-update", "decoupled decay after the update", "Odyssey 5674, onnxruntime 3318", named("decay-after-update"), {"apply": shrinks_last}, dialects=(ADAM,)),
    option("decay-in-direction", "decay is added to the direction, not to the gradient", "MindSpore AdamWeightDecay", NO_CAUSE,
           {"decay": lambda run, call, values, p: values, "direction": decays_moment}, dialects=MINDSPORE),
    option("decay-over-loss-scale", "decay is divided by the loss scale", "MXNet 9881", named("decay-divided-by-loss-scale"), decays(lambda call, p: p * call.scalar(call.s.weight_decay)), dialects=MINDSPORE, cases=("options/*", "pairs/*loss-scale*")),
    option("negative-decay", "decay with the wrong sign", "sign", named("weight-decay-scaled").or_none(), with_settings(lambda run, slot, s: {"weight_decay": -s.weight_decay}), dialects=DECAYING),
    row("corrected-m-in-state", "m_hat is written into the state", "a division in place", named("correction-in-first-moment"), stores_corrected("exp_avg", lambda call: call.c1)),
    row("corrected-v-in-state", "v_hat is written into the state", "a division in place", named("correction-in-second-moment").or_placed("corrected second moment"), stores_corrected("exp_avg_sq", lambda call: call.c2)),
    row("beta2-zero-is-sgd", "beta2 of 0 becomes plain gradient descent", "thinc 9.1.1", placed("beta2.*0").or_none(), {"change": becomes_sgd}, dialects=(SPARSE, ADAM), cases=("betas/*",)),
)
# fmt: on
