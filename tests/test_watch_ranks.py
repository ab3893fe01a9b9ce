"""Watch under torch.distributed: two real processes, one report, and replicas compared bit by bit."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch.distributed")

import torch
from hypothesis import given
from hypothesis import strategies as st
from watched_optimizers import model, train

from refimpl import Watch
from refimpl.errors import UsageError
from refimpl.watch._ranks import DETAILED, Digests, RankResult, together

WORLD = 2


class Ranks:
    """The processes; each request goes to all of them."""

    def __init__(self, directory: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["watched_ranks"])
        self.ends, self.processes = [], []
        for rank in range(WORLD):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(rank, str(directory / "store"), there), daemon=True)
            process.start()
            there.close()
            self.ends.append(here)
            self.processes.append(process)

    def run(self, name: str, ranks: tuple[int, ...] = (0, 1)) -> list[Any]:
        """What the reports of these ranks say: (exit code, sentence, document, text) each."""
        for end in self.ends:
            end.send(name)
        replies = []
        for rank in ranks:
            assert self.ends[rank].poll(120), f"rank {rank} does not answer"
            replies.append(self.ends[rank].recv())
        return replies

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()
        for end in self.ends:
            end.close()


def _serve(rank: int, store: str, end: Any) -> None:
    import watched_ranks

    watched_ranks.serve(rank, WORLD, store, end)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), before])
    yield tmp_path_factory.mktemp("ranks")
    os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def ranks(place: Path) -> Iterator[Ranks]:
    started = Ranks(place)
    yield started
    started.close()


def test_a_clean_run_is_one_report_on_rank_0(ranks: Ranks) -> None:
    (first, second) = ranks.run("clean")
    code, sentence, document, text = first
    assert code == 0
    assert "of 2 ranks: the replicas are equal, bit by bit, after each of 4 calls" in sentence
    assert [result["elements"] for result in document["ranks"]["results"]] == [4 * 83, 4 * 83]
    assert "rank 1: 4 calls, 4 judged, 332 elements, 0 wrong" in text
    assert "this is rank 1 of 2; rank 0 reports of all" in second[2]["notes"]
    assert second[2]["ranks"] is None


def test_a_replica_that_drifts_is_named_with_its_first_step(ranks: Ranks) -> None:
    code, sentence, document, _ = ranks.run("drifting")[0]
    assert code == 1
    assert document["failing"] == 0  # each rank's own step is right
    (difference,) = document["ranks"]["differences"]
    assert (difference["call"], difference["ranks"], difference["others"]) == (3, (1,), (0,))
    assert "param of '0.weight'" in difference["arrays"]
    assert not any("2.bias" in array for array in difference["arrays"])
    assert "rank 1 differs from rank 0 first after call 3: param of '0.weight'" in sentence


def test_the_example_of_the_guide_names_the_mistake(ranks: Ranks) -> None:
    code, sentence, _, _ = ranks.run("of_the_guide")[0]
    assert code == 1
    assert "rank 1 differs from rank 0 first after call 3: param of 'weight', exp_avg of 'weight'" in sentence


def test_what_is_not_claimed_is_not_compared(ranks: Ranks) -> None:
    code, sentence, document, _ = ranks.run("independent")[0]
    assert (code, document["ranks"]["differences"]) == (0, [])
    assert sentence.endswith("of 2 ranks: no replicas were compared")


def test_a_wrong_claim_is_a_difference(ranks: Ranks) -> None:
    code, _, document, _ = ranks.run("claimed_wrongly")[0]
    assert (code, document["ranks"]["calls_compared"], document["ranks"]["differences"][0]["call"]) == (1, 2, 1)


def test_a_wrong_step_of_another_rank_is_in_the_report(ranks: Ranks) -> None:
    (first, second) = ranks.run("wrong_on_one")
    assert (first[0], second[0]) == (1, 1)
    assert first[2]["failing"] == 0
    assert "rank 1 has 4 wrong calls" in first[1]
    assert "itself was changed inside the step" in first[3].replace("\n  ", " ")


def test_zero_redundancy_each_rank_judges_its_parameters_and_all_are_compared(ranks: Ranks) -> None:
    (first, second) = ranks.run("zero")
    assert (first[0], second[0]) == (0, 0)
    assert "the replicas are equal, bit by bit, after each of 4 calls" in first[1]
    own = [result["elements"] for result in first[2]["ranks"]["results"]]
    assert sum(own) == 4 * 83
    assert min(own) > 0


def test_shards_are_judged_each_on_its_rank_and_are_no_replicas(ranks: Ranks) -> None:
    (first, _) = ranks.run("sharded")
    assert first[0] == 0
    assert sum(result["elements"] for result in first[2]["ranks"]["results"]) == 4 * 83
    assert first[2]["ranks"]["differences"] == []
    assert any("DTensor is no replica" in words for words in first[2]["notes"])


def test_a_group_that_is_gone_at_the_end_does_not_lose_the_report(ranks: Ranks) -> None:
    code, sentence, _, _ = ranks.run("apart")[0]
    assert code == 0
    assert "the replicas are equal" in sentence


def test_a_rank_that_dies_makes_nobody_wait_and_is_named(place: Path) -> None:
    (place / "dying").mkdir()
    ranks = Ranks(place / "dying")
    try:
        ((code, sentence, document, _),) = ranks.run("dying", (0,))
    finally:
        ranks.close()
    assert (code, document["ranks"]["missing"]) == (3, [1])
    assert "rank 1 left no result" in sentence


def test_without_a_process_group_a_claim_changes_nothing() -> None:
    net = model()
    optimizer = torch.optim.Adam(net.parameters())
    with Watch(optimizer, on_failure="raise", replicas=True) as watch:
        train(net, optimizer, 2)
    assert (watch.report().exit_code, watch.report().session.ranks) == (0, None)
    with pytest.raises(UsageError, match="replicas is a int"):
        Watch(optimizer, replicas=3)


def result(rank: int, digests: Digests, world: int) -> RankResult:
    """As it arrives on rank 0."""
    made = RankResult(rank, 9, 9, 1, 0, 0, tuple(range(world)), (), digests.of_call, digests.details)
    return RankResult.read(made.written())


@given(st.integers(2, 5), st.data())
def test_the_first_difference_is_found_and_the_fewer_are_named(world: int, data: st.DataObject) -> None:
    calls = data.draw(st.integers(1, 12))
    odd = data.draw(st.integers(0, world - 1))
    first = data.draw(st.integers(1, calls + 1))
    kept = [Digests() for _ in range(world)]
    for call in range(1, calls + 1):
        for rank, digests in enumerate(kept):
            digests.take(call, {"param of 'w'": str(call), "exp_avg of 'w'": f"{call} {rank == odd and call >= first}"})
    ranks = together(world, [result(rank, digests, world) for rank, digests in enumerate(kept)])
    assert ranks.compared == calls
    if first > calls:
        assert ranks.differences == ()
    else:
        (difference,) = ranks.differences
        assert (difference.call, difference.arrays, difference.seen) == (first, ("exp_avg of 'w'",), first)
        assert difference.ranks == ((odd,) if world > 2 else (1,))


def test_a_long_run_keeps_few_digests_and_still_finds_the_first_call() -> None:
    kept = [Digests(), Digests()]
    for call in range(1, 5001):
        for rank, digests in enumerate(kept):
            digests.take(call, {"param of 'w'": f"{call} {bool(rank) and call >= 3333}"})
    assert all(len(digests.details) <= DETAILED for digests in kept)
    (difference,) = together(2, [result(rank, digests, 2) for rank, digests in enumerate(kept)]).differences
    assert (difference.call, difference.arrays) == (3333, ("param of 'w'",))
    assert 3333 <= difference.seen < 3333 + 2 * 5000 / DETAILED * 2
    assert f"first after call 3333; after call {difference.seen}: param of 'w'" in difference.words
