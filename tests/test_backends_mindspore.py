"""The real MindSpore where it is installed; elsewhere only the message that it is missing."""

from importlib.util import find_spec

import numpy as np
import pytest
from backend_cases import case, golden, rows, table

from refimpl.backends import run_backend
from refimpl.backends.outcome import End
from refimpl.case import Case, Golden
from refimpl.errors import HarnessError, Unsupported, UsageError

HERE = find_spec("mindspore") is not None


@pytest.mark.skipif(HERE, reason="it is installed here")
def test_where_it_is_not_installed_the_message_says_what_to_install() -> None:
    with pytest.raises(HarnessError, match="install mindspore in this environment"), run_backend("mindspore", []) as run:
        list(run)


@pytest.mark.skipif(not HERE, reason="MindSpore is not installed here")
class TestInstalled:
    @pytest.mark.parametrize("name", ["mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam"])
    def test_each_dialect_is_run_by_the_route_that_it_describes(self, core: dict[str, list[Golden]], name: str) -> None:
        from refimpl.judging.compare import judge

        golden = next(golden for golden in core[name] if golden.case.slug == "pair")
        with run_backend("mindspore", [golden]) as run:
            (outcome,) = run
        assert outcome.end is End.STATES
        assert judge(golden, outcome, "tensor-faithful").attained

    @pytest.mark.parametrize(
        ("made", "reason"),
        [
            (case(rows([0]), None, name="mindspore.LazyAdam"), "None is refused as a gradient"),
            (case(rows([], shape=(0, 3)), params=[table(shape=(0, 3))], name="mindspore.LazyAdam"), "a parameter without elements"),
            (case(rows([0]), groups=({"grad_centralization": True},), name="mindspore.LazyAdam"), "takes no gradient by rows"),
            (
                case(
                    np.ones((2, 16), np.float32),
                    params=[table(shape=(2, 16))],
                    groups=({"grad_centralization": True},),
                    name="mindspore.Adam",
                ),
                "does not exist on the CPU",
            ),
        ],
    )
    def test_what_it_cannot_do_is_unsupported_before_anything_is_compiled(self, made: Case, reason: str) -> None:
        from refimpl.backends.mindspore import factory

        with pytest.raises(Unsupported, match=reason):
            factory().start(made)

    def test_centralization_that_leaves_a_narrow_gradient_alone_runs(self) -> None:
        made = case(
            np.ones((2, 12), np.float32), params=[table(shape=(2, 12))], groups=({"grad_centralization": True},), name="mindspore.Adam"
        )
        with run_backend("mindspore", [golden(made)]) as run:
            (outcome,) = run
        assert outcome.end is End.STATES

    def test_a_route_or_a_device_that_is_not_there_is_refused(self) -> None:
        from refimpl.backends.mindspore import factory

        with pytest.raises(UsageError, match="choose from lazy-default"):
            factory(route="lazy")
        with pytest.raises(UsageError, match="no device 'npu'"):
            factory(device="npu")
