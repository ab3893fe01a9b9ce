"""River's Adams as routes: over dicts, which hold a number for each element, and over an array."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from peer_backend import forms, is_resumed, peer_factory
from refusals import copied, has_one_group, start, takes_every_gradient
from river import optim

from refimpl.backends import Unsupported
from refimpl.gradients import gradient_form


class DictRun:
    """One optimizer. A weight is an entry of a dict, its key the name of the parameter and the element's place; it counts every call."""

    dialects = ("river.Adam",)
    make = optim.Adam
    moments = MappingProxyType({"exp_avg": "m", "exp_avg_sq": "v"})

    def __init__(self, case):
        has_one_group(case)
        _refuse(case)
        self.shapes = {param.name: (param.value.shape, param.value.dtype) for param in case.params}
        self.weights = {key: value for param in case.params for key, value in _entries(param.name, copied(param.value))}
        self.optimizer = self.make(**case.groups[0].hyper)
        self.optimizer.step(self.weights, {})  # makes the empty moments
        self.optimizer.n_iterations = 0
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        steps = {param.step for param in case.params}
        if len(steps) > 1:
            raise Unsupported("one step count for all weights")
        self.optimizer.n_iterations = steps.pop()
        for array, own in self.moments.items():
            for param in case.params:
                getattr(self.optimizer, own).update(_entries(param.name, start(param, array)))

    def step(self, step):
        _change(self.optimizer, step.hyper)
        gradients = {key: value for name, gradient in step.gradients.items() for key, value in _occurring(name, gradient)}
        self.optimizer.step(self.weights, gradients)

    def state(self):
        held = {"param": self.weights, **{array: getattr(self.optimizer, own) for array, own in self.moments.items()}}
        return {
            name: {array: _filled(name, shape, dtype, entries) for array, entries in held.items()}
            for name, (shape, dtype) in self.shapes.items()
        }


def _refuse(case):
    if "rows" in forms(case):
        raise Unsupported("a gradient is a dict of features or an array: rows cannot be given")
    for step in case.steps:
        for gradient in step.gradients.values():
            if gradient is not None and gradient_form(gradient) == "elements":
                places = np.stack(gradient.coords, axis=-1)
                if len(np.unique(places, axis=0)) < len(places):
                    raise Unsupported("a dict has a feature once")


def _change(optimizer, hyper):
    """A learning rate becomes a schedule, as the constructor makes one of it."""
    for name, value in hyper[0].items() if hyper else ():
        setattr(optimizer, name, optim.schedulers.Constant(value) if name == "lr" else value)


def _entries(name, array):
    return (((name, place), array[place]) for place in np.ndindex(array.shape))


def _occurring(name, gradient):
    """The entries of a gradient: all of a dense one, those stored of a sparse one, none of a missing one."""
    if gradient is None:
        return ()
    if gradient_form(gradient) == "dense":
        return _entries(name, copied(gradient))
    return (((name, tuple(map(int, place))), value) for place, value in zip(zip(*gradient.coords), copied(gradient.data)))


def _filled(name, shape, dtype, entries):
    array = np.zeros(shape, dtype)
    for place in np.ndindex(shape):
        array[place] = entries.get((name, place), 0.0)
    return array


class NadamRun(DictRun):
    dialects = ("river.Nadam",)
    make = optim.Nadam


class AdaMaxRun(DictRun):
    dialects = ("river.AdaMax",)
    make = optim.AdaMax
    moments = MappingProxyType({"exp_avg": "m", "exp_avg_sq": "u"})


class AMSGradRun(DictRun):
    dialects = ("river.AMSGrad",)
    make = optim.AMSGrad
    moments = MappingProxyType({"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "v_hat"})


class ArrayRun:
    """One optimizer, of one array."""

    dialects = ("river.Adam",)

    def __init__(self, case):
        has_one_group(case)
        if "elements" in forms(case):
            raise Unsupported("a gradient is an array: nothing sparse can be given")
        _refuse(case)
        takes_every_gradient(case, "step takes a gradient")
        if len(case.params) > 1:
            raise Unsupported("an optimizer updates one array")
        (param,) = case.params
        self.name, self.weights = param.name, copied(param.value)
        self.optimizer = optim.Adam(**case.groups[0].hyper)
        self.optimizer.m, self.optimizer.v = start(param, "exp_avg"), start(param, "exp_avg_sq")
        self.optimizer.n_iterations = param.step

    def step(self, step):
        _change(self.optimizer, step.hyper)
        self.weights = self.optimizer.step(self.weights, copied(step.gradients[self.name]))

    def state(self):
        return {self.name: {"param": self.weights, "exp_avg": self.optimizer.m, "exp_avg_sq": self.optimizer.v}}


factory = peer_factory(
    "river",
    {"adam-dict": DictRun, "adam-array": ArrayRun, "nadam": NadamRun, "adamax": AdaMaxRun, "amsgrad": AMSGradRun},
)
