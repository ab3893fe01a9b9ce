import numpy as np
import pytest

from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.backends.reference import factory
from refimpl.case import Golden, ratios
from refimpl.judging.error_profiles import ELEMENTS, profiles

CLASS = "tensor-faithful"


def wrong(core: dict[str, list[Golden]], id: str) -> tuple[Golden, Outcome]:
    (golden,) = [golden for golden in core["torch.SparseAdam"] if golden.case.id == f"torch.SparseAdam/{id}"]
    return golden, execute(factory(deviations="duplicates-averaged"), golden)


def test_a_profile_holds_the_largest_ratio_of_each_step_and_of_each_element(core: dict[str, list[Golden]]) -> None:
    golden, outcome = wrong(core, "duplicates/multiplicity-changes")
    by_array = {profile.array: profile for profile in profiles(golden, outcome, CLASS)}
    assert by_array
    for array, profile in by_array.items():
        ratio = ratios(outcome.states["w"][array], golden.expected["w"][array], CLASS)
        assert profile.by_step == pytest.approx(ratio.reshape(len(ratio), -1).max(axis=1))
        assert profile.by_element == pytest.approx(ratio.reshape(len(ratio), -1).max(axis=0))
        assert profile.steps == golden.case.record
        assert profile.worst.ratio == ratio.max() > 1


def test_a_large_array_has_a_profile_of_a_bounded_number_of_entries(core: dict[str, list[Golden]]) -> None:
    golden, outcome = wrong(core, "training/embedding")
    for profile in profiles(golden, outcome, CLASS):
        size = int(np.prod(profile.shape))
        assert len(profile.by_element) == -(-size // profile.per) <= ELEMENTS
        assert max(profile.by_element) == profile.worst.ratio


def test_an_array_inside_its_bound_has_no_profile(core: dict[str, list[Golden]]) -> None:
    golden, _ = wrong(core, "duplicates/pair")
    assert profiles(golden, execute(factory(), golden), CLASS) == ()
