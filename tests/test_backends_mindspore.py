"""The real MindSpore, where it is installed; elsewhere only that its absence is told."""

from importlib.util import find_spec

import pytest

from refimpl.backends import run_backend
from refimpl.backends.outcome import End
from refimpl.errors import HarnessError, UsageError

HERE = find_spec("mindspore") is not None


@pytest.mark.skipif(HERE, reason="it is installed here")
def test_where_it_is_not_installed_the_message_says_what_to_install():
    with pytest.raises(HarnessError, match="install mindspore in this environment"), run_backend("mindspore", []) as run:
        list(run)


@pytest.mark.skipif(not HERE, reason="MindSpore is not installed here")
class TestInstalled:
    @pytest.mark.parametrize("name", ["mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam"])
    def test_each_dialect_is_run_by_the_route_that_it_describes(self, core, name):
        from refimpl.judging.compare import judge

        golden = next(golden for golden in core[name] if golden.case.slug == "pair")
        with run_backend("mindspore", [golden]) as run:
            (outcome,) = run
        assert outcome.end is End.STATES
        assert judge(golden, outcome, "tensor-faithful").attained

    def test_a_route_or_a_device_that_is_not_there_is_refused(self):
        from refimpl.backends.mindspore import factory

        with pytest.raises(UsageError, match="choose from lazy-default"):
            factory(route="lazy")
        with pytest.raises(UsageError, match="no device 'npu'"):
            factory(device="npu")
