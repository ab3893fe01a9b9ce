"""refimpl.diff._mixtures: cases that combine the features of a dialect."""

from itertools import combinations

import pytest

from refimpl.case import Case, Golden
from refimpl.cases.features import features
from refimpl.dialects import dialect, dialects
from refimpl.diff._measured import is_taken
from refimpl.diff._mixtures import features_of, mixtures

BY_FEATURE = {
    "missing": "missing",
    "late": "late",
    "weight_decay": "decoupled-decay",
    "schedule of lr": "schedule-lr",
    "schedule of weight_decay": "schedule-weight-decay",
    "resume": "resume",
    "amsgrad": "amsgrad",
}


def met(case: Case) -> set[frozenset[str]]:
    """Pairs of features that one parameter has, in the words of the table of coverage."""
    return {frozenset(pair) for own in features(Golden(case, {})).values() for pair in combinations(sorted(own), 2)}


def test_every_two_features_of_keras_meet() -> None:
    every = set().union(*map(met, mixtures(dialect("keras.Adam"))))
    assert {frozenset(pair) for pair in combinations(BY_FEATURE.values(), 2)} <= every


@pytest.mark.parametrize("name", dialects("full"))
def test_mixtures_are_the_same_every_time_and_their_settings_are_accepted(name: str) -> None:
    table = dialect(name)
    first, again = mixtures(table), mixtures(table)
    assert [case.about for case in first] == [case.about for case in again]
    assert len({case.id for case in first}) == len(first)
    for case in first:
        for group in case.groups:
            table.validate(group.hyper)
    assert {feature for case in first for feature in features_of(table) if feature in case.about} == set(features_of(table))


def test_the_framework_takes_every_mixture() -> None:
    for table in dialects("full").values():
        assert all(is_taken(case, table) for case in mixtures(table))
