import numpy as np
import pytest

from refimpl.arithmetic import Bounded
from refimpl.arithmetic.balls import Ball
from refimpl.guide.lab import run
from refimpl.reference import ALL


def test_a_run_has_a_state_before_the_first_step_and_after_each() -> None:
    history = run([[(1, 1.0)], []], rows=2, start=[5.0, 7.0], lr=0.5)
    assert history.p.shape == history.m.shape == history.v.shape == (3, 2)
    np.testing.assert_allclose(history.p, [[5.0, 7.0], [5.0, 6.5], [5.0, 6.5]], rtol=1e-6)
    np.testing.assert_allclose(history.m[:, 1], [0, 0.1, 0.1])


def test_a_stage_can_be_exchanged_and_a_rate_can_change() -> None:
    assert run([[(0, 1.0)], []], change={"touch": "all"}).p[2, 0] < run([[(0, 1.0)], []]).p[2, 0]
    halved = run([[(0, 1.0)]] * 2, lr=0.4, schedule={2: {"lr": 0.2}})
    np.testing.assert_allclose(-np.diff(halved.p[:, 0]), [0.4, 0.2], rtol=1e-6)


def test_a_run_goes_on_from_a_state() -> None:
    whole = run([np.array([1.0])] * 3, like="torch.Adam")
    rest = run([np.array([1.0])], like="torch.Adam", start=whole.p[2, 0], resumed=(whole.m[2, 0], whole.v[2, 0], 2))
    assert rest.p[0, 0] == whole.p[2, 0]
    assert rest.m[0, 0] == whole.m[2, 0]
    assert rest.p[1, 0] == whole.p[3, 0]


@pytest.mark.parametrize("field", ["p", "m", "v"])
def test_the_number_systems_agree_within_the_bound(field: str) -> None:
    gradients = [[(0, 0.5)], [(0, -0.25), (0, 1.0)], []]
    exact, single = run(gradients, arithmetic=Ball()), run(gradients, dtype="float32")
    bounded = run(gradients, dtype="float32", arithmetic=Bounded("float32"), forms=ALL)
    assert bounded.bound[field].shape == (4, 4, 1)
    error = np.abs(getattr(single, field) - getattr(exact, field))
    assert (error <= bounded.bound[field][:, 0]).all()
    assert not exact.bound
