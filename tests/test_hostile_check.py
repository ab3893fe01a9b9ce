"""Backends, programs and files that do what they should not: a part of the corpus; `tools/try_hostile.py` runs all of it."""

import sys

import pytest
from hostile import Entry, backends, files, programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is left is looked for in /proc")

BACKENDS, PROGRAMS = list(backends.entries()), list(programs.entries())

SAMPLE = {
    "step/inherited-channel-and-hang",
    "step/clean-orphan-then-exit",
    "step/kill-supervisor-with-orphan",
    "step/stop-self",
    "step/huge-body",
    "step/other-message",
    "step/close-everything",
    "harmless/returning-fork",
    "harmless/slow-exit",
    "state/deceiver",
    "factory/forged-ready",
    "a program that leaves a child without environment",
    "a program that hangs and ignores signals",
    "a program that makes its results a link",
    "a program that writes a character that is none",
}
"""Those that differ most in how they end: each takes seconds."""

MUTATIONS, AT_ONCE = 5_000, 250


@pytest.mark.parametrize("entry", [entry for entry in (*BACKENDS, *PROGRAMS) if entry.id in SAMPLE], ids=lambda entry: entry.id)
@pytest.mark.sampled(4)
def test_check_ends_in_time_with_the_right_exit_code_and_leaves_nothing(entry: Entry) -> None:
    entry.run()


@pytest.mark.parametrize("part", range(MUTATIONS // AT_ONCE))
@pytest.mark.sampled(5)
def test_a_file_that_was_changed_is_refused_or_says_what_it_says(part: int) -> None:
    for entry in files.entries(AT_ONCE, seed=part):
        entry.run()


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(BACKENDS) >= 60
    assert len(PROGRAMS) >= 25
    assert {entry.id for entry in (*BACKENDS, *PROGRAMS)} >= SAMPLE
    ids = [entry.id for entry in (*BACKENDS, *PROGRAMS)]
    assert len(set(ids)) == len(ids)
