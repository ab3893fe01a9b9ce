"""Gradients, settings and states that nobody should give: refused by name with nothing changed, or right and computed."""

import pytest
from hostile import Entry, gradients, states

ENTRIES = [*gradients.entries(), *gradients.memory_entries(), *states.entries()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_hostile_call_is_refused_or_computes_what_its_documentation_says(entry: Entry) -> None:
    entry.run()


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    kinds = [entry.kind for entry in ENTRIES]
    assert kinds.count("gradient") >= 150
    assert kinds.count("setting") + kinds.count("state") >= 250
