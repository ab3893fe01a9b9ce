"""autograd.misc.optimizers.adam as a route. It runs all steps in one call: it waits, in a thread, for each gradient."""

from __future__ import annotations

import inspect
import queue
import threading

import numpy as np
from autograd.misc.optimizers import adam
from peer_backend import peer_factory
from refusals import changes_only, copied, has_one_group, start, takes_dense, takes_every_gradient

from refimpl.backends import Unsupported


class AdamRun:
    """The optimizer asks for the gradient at x; before it gets one, x and the moments in its frame are the state after the step before."""

    dialects = ("autograd.adam",)

    def __init__(self, case):
        takes_dense(case, "a tree of arrays")
        takes_every_gradient(case, "the gradient is a tree like the parameters'")
        has_one_group(case)
        if case.dtype != "float64":
            raise Unsupported("the moments are float64, and so are the parameters between the steps of a call")
        changes_only(case, (), "is fixed for all steps of a call")
        if any(param.step or start(param, "exp_avg").any() or start(param, "exp_avg_sq").any() for param in case.params):
            raise Unsupported("the moments start from zero")
        self.shapes = {param.name: param.value.shape for param in case.params}
        self.gradients, self.states = queue.Queue(), queue.Queue()
        start_at = {param.name: copied(param.value) for param in case.params}
        arguments = {"num_iters": len(case.steps) + 1, **case.groups[0].hyper}
        threading.Thread(target=self._run, args=(start_at, arguments), daemon=True).start()
        self.held = self._next()

    def _run(self, start_at, arguments):
        try:
            adam(self._gradient, start_at, **arguments)
        except Exception as error:
            self.states.put(error)

    def _gradient(self, x, i):
        """What the optimizer calls: tells the state, waits for a gradient. The frame of the optimizer is that with the moments."""
        frame = inspect.currentframe()
        while not {"m", "v", "num_iters"} <= frame.f_locals.keys():
            frame = frame.f_back
        self.states.put((x, np.array(frame.f_locals["m"]), np.array(frame.f_locals["v"])))
        gradient = self.gradients.get()
        if gradient is None:
            raise SystemExit
        return gradient

    def _next(self):
        state = self.states.get()
        if isinstance(state, Exception):
            raise state
        return state

    def step(self, step):
        self.gradients.put({name: copied(step.gradients[name]) for name in self.shapes})
        self.held = self._next()

    def state(self):
        """The moments lie in one vector, the parameters after each other in the order of their names."""
        x, m, v = self.held
        places = np.cumsum([0] + [int(np.prod(self.shapes[name])) for name in sorted(self.shapes)])
        cut = {name: slice(*places[index : index + 2]) for index, name in enumerate(sorted(self.shapes))}
        return {
            name: {"param": np.array(x[name]), "exp_avg": m[cut[name]].reshape(shape), "exp_avg_sq": v[cut[name]].reshape(shape)}
            for name, shape in self.shapes.items()
        }

    def __del__(self):
        self.gradients.put(None)


factory = peer_factory("autograd", {"adam": AdamRun})
