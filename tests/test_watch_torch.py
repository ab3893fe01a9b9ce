"""Watch around PyTorch's own optimizers, right and wrong ones, in the ways in which they are used."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from watched_optimizers import Halved, LastCounter, Leaky, Mine, NoOp, Rescaled, model, train

from refimpl import Watch, check, explain
from refimpl.errors import UsageError
from refimpl.watch import _session
from refimpl.watch._session import Failure, WatchError, WatchWarning


def watched(net: Any, optimizer: Any, steps: int = 3, **options: Any) -> Any:
    options = {"on_failure": "raise", "names": net.named_parameters(), **options}
    with Watch(optimizer, **options) as watch:
        train(net, optimizer, steps)
    return watch


def failures(net: Any, optimizer: Any, steps: int = 2, **options: Any) -> tuple[list[Failure], Any]:
    seen: list[Failure] = []
    return seen, watched(net, optimizer, steps, on_failure=seen.append, **options)


RIGHT = [
    (torch.optim.Adam, {"foreach": False}),
    (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True, "foreach": True}),
    (torch.optim.AdamW, {"fused": True, "maximize": True}),
    (torch.optim.AdamW, {"lr": torch.tensor(1e-3), "foreach": False}),
    (torch.optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (torch.optim.RAdam, {}),
    (torch.optim.Adamax, {"foreach": True}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("kind", "options"), RIGHT, ids=lambda value: getattr(value, "__name__", None))
def test_pytorch_is_right(kind: Any, options: dict[str, Any], dtype: Any) -> None:
    net = model(dtype)
    report = watched(net, kind(net.parameters(), **options), 4).report()
    assert report.exit_code == 0
    assert report.elements == 4 * 83
    assert report.left == 0


def test_float64_is_left_to_the_proof() -> None:
    net = model(torch.float64)
    report = watched(net, torch.optim.Adam(net.parameters()), 2, sample=20).report()
    assert (report.exit_code, report.attained) == (0, "exact-ieee")
    assert sum(judgement.proven for judgement in report.judged) == report.elements > 40
    assert sum(judgement.cleared for judgement in report.judged) == 0


def sparse(kind: Any = torch.optim.SparseAdam, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    table = torch.nn.Embedding(50, 4, sparse=True)
    return table, kind(table.parameters(), **options)


def look_up(table: Any, optimizer: Any, rows: list[int]) -> None:
    optimizer.zero_grad()
    table(torch.tensor(rows)).square().sum().backward()
    optimizer.step()


def test_sparse_rows_are_judged_with_their_duplicates_and_the_others_keep_their_bits() -> None:
    table, optimizer = sparse(maximize=True)
    with Watch(optimizer, on_failure="raise") as watch:
        look_up(table, optimizer, [3, 7, 3, 49, 3])
        look_up(table, optimizer, [7])
        table.weight.grad = torch.sparse_coo_tensor(
            torch.zeros((1, 0), dtype=torch.int64), torch.zeros((0, 4)), (50, 4), check_invariants=True
        )
        optimizer.step()  # an empty gradient counts
        table.weight.grad = torch.sparse_coo_tensor([[1, 1], [2, 2]], [1.0, 2.0], (50, 4), check_invariants=True)
        optimizer.step()  # an element, twice
    report = watch.report()
    assert (report.exit_code, report.elements, report.left) == (0, 3 * 4 + 4 + 1, 0)
    assert report.compared > 4 * 4 * 10
    assert [judgement.population for judgement in report.judged] == [3, 1, 0, 1]


def test_a_row_that_the_gradient_does_not_store_may_not_change() -> None:
    seen: list[Failure] = []
    table, optimizer = sparse(Leaky)
    with Watch(optimizer, on_failure=seen.append, dialect="torch.SparseAdam"):
        look_up(table, optimizer, [3, 7])
    assert "a row that the gradient does not store" in str(seen[0])


def test_closures_schedules_groups_and_late_parameters() -> None:
    net = model()
    first, *rest = net.parameters()
    optimizer = torch.optim.AdamW([{"params": [first], "lr": 1e-2, "weight_decay": 0.5}, {"params": rest}])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 5)
    with Watch(optimizer, on_failure="raise") as watch:
        for k in range(4):

            def closure(late: bool = k < 2) -> Any:
                optimizer.zero_grad()
                loss = net(torch.randn(16, 6)).square().mean()
                loss.backward()
                if late:
                    first.grad = None
                return loss

            optimizer.step(closure) if k % 2 else optimizer.step(closure=closure)
            schedule.step()
    report = watch.report()
    assert (report.exit_code, len(report.judged)) == (0, 4)
    assert report.judged[0].elements == 83 - 48
    assert report.judged[0].compared == 8
    assert report.judged[3].elements == 83


def test_scaled_gradients_and_skipped_calls_of_a_fused_step() -> None:
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with Watch(optimizer, on_failure="raise") as watch:
        for k in range(4):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(16, 6)).square().mean()).backward()
            if k == 2:
                next(net.parameters()).grad[0, 0] = torch.inf
            scaler.step(optimizer)
            scaler.update()
    report = watch.report()
    assert (report.exit_code, len(report.judged)) == (0, 4)
    assert [judgement.elements for judgement in report.judged] == [83, 83, 0, 83]
    assert report.judged[2].compared == 83


def test_a_sample_of_the_elements_and_every_second_call() -> None:
    net = model()
    report = watched(net, torch.optim.Adam(net.parameters()), 5, every=2, sample=10).report()
    assert (report.session.calls, [judgement.number for judgement in report.judged]) == (5, [1, 3, 5])
    assert all(judgement.drawn == 10 and judgement.population == 83 for judgement in report.judged)
    assert all(10 < judgement.elements < 27 for judgement in report.judged)  # at least four of each parameter


INCIDENTS = [
    (Rescaled, {"dialect": "torch.AdamW"}, 0, "gradient-scaled", "1/65,536"),
    (NoOp, {"dialect": "torch.Adam"}, 2, "nothing-moves", "after a call with a gradient, and was 2"),
]


@pytest.mark.parametrize(("kind", "options", "steps", "cause", "words"), INCIDENTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_is_named_at_the_first_judged_call(kind: Any, options: dict[str, Any], steps: int, cause: str, words: str) -> None:
    net = model()
    right, optimizer = torch.optim.AdamW(net.parameters()), kind(net.parameters())
    train(net, right, steps)
    optimizer.load_state_dict(right.state_dict())
    seen, watch = failures(net, optimizer, 1, **options)
    assert f"CAUSE {cause}" in str(seen[0])
    assert words in str(seen[0])
    assert watch.report().exit_code == 1


def test_moments_that_follow_the_parameter_are_named_where_float32_is_claimed() -> None:
    net = model(torch.bfloat16)
    seen, _ = failures(net, torch.optim.AdamW(net.parameters()), moments="float32")
    assert "CAUSE moments-follow-parameter" in str(seen[0])


def test_the_counter_of_the_last_parameter_is_named(tmp_path: Path) -> None:
    net = model()
    optimizer = LastCounter(net.parameters())

    def late(k: int) -> None:
        if k < 3:
            list(net.parameters())[-1].grad = None

    seen: list[Failure] = []
    with Watch(optimizer, dialect="torch.AdamW", on_failure=seen.append, save=tmp_path / "wrong") as watch:
        train(net, optimizer, 5, late)
    assert [failure.number for failure in seen] == [4, 5]
    assert "CAUSE counter-of-last-parameter" in str(seen[0])
    _reads(tmp_path / "wrong", seen[0])
    _reports(watch.report(), tmp_path)


def _reads(directory: Path, failure: Failure) -> None:
    """The saved call is a vector: PyTorch passes it, what was found fails it, and `explain` works it through."""
    assert failure.golden is not None
    assert check.main(["torch", "--vectors", str(directory), "--dialect", "torch.AdamW"]) == 0
    found = ["--results", str(directory / "results"), "--vectors", str(directory), "--dialect", "torch.AdamW"]
    assert check.main(found) == 1
    assert explain.main([failure.golden.case.id, "--vectors", str(directory)]) == 0


def _reports(report: Any, tmp_path: Path) -> None:
    for name in ("report.json", "report.html", "report.txt"):
        report.write(tmp_path / name)
    document = json.loads((tmp_path / "report.json").read_text())
    assert (document["exit_code"], document["failing"], len(document["judged"])) == (1, 2, 5)
    assert document["causes"][0]["deviations"] == ["counter-of-last-parameter"]
    page = (tmp_path / "report.html").read_text()
    assert "counter-of-last-parameter" in page
    assert "<svg" in page
    text = (tmp_path / "report.txt").read_text()
    assert max(map(len, text.splitlines())) <= 110
    assert "2 of 5 calls judged wrong; cause: counter-of-last-parameter" in " ".join(text.split())


def test_a_count_in_bfloat16_that_stays_at_256_is_named() -> None:
    net = model()
    optimizer = torch.optim.AdamW(net.parameters())
    train(net, optimizer, 2)
    for state in optimizer.state.values():
        state["step"] = torch.tensor(255.0, dtype=torch.bfloat16)
    seen, _ = failures(net, optimizer, 2)
    assert [failure.number for failure in seen] == [2]
    assert "is 256 after a call with a gradient, and was 256" in str(seen[0])
    assert "CAUSE counter-ceiling: the step count is kept in bfloat16, where it stops at 256" in str(seen[0])


def test_the_product_of_momenta_is_compared() -> None:
    net = model()
    optimizer = torch.optim.NAdam(net.parameters())
    train(net, optimizer, 2)
    optimizer.state[next(net.parameters())]["mu_product"].mul_(0.9)
    report = watched(net, optimizer, 2).report()
    assert any("mu_product is not that of the present settings" in words for words in report.session.notes)
    assert report.judged[0].elements == 83 - 48  # the other parameters are judged


def test_a_state_that_changes_between_two_calls_is_told() -> None:
    net = model()
    optimizer = torch.optim.Adam(net.parameters())
    with Watch(optimizer, on_failure="raise", names=net.named_parameters()) as watch:
        train(net, optimizer, 2)
        optimizer.state[next(net.parameters())]["exp_avg"].mul_(2)
        train(net, optimizer, 1)
        optimizer.load_state_dict(optimizer.state_dict())
        train(net, optimizer, 2)
    assert [*watch.report().session.notes] == [
        "exp_avg of '0.weight' changed between calls 2 and 3",
        "a state was loaded between calls 3 and 4",
    ]
    with Watch(optimizer, on_change="raise"), pytest.raises(WatchError, match="changed between calls 1 and 2"):
        train(net, optimizer, 2, lambda k: None if k == 0 else next(net.parameters()).data.add_(1))


def test_a_hook_that_changes_the_gradient_later_is_no_fault_of_the_step() -> None:
    net = model()
    optimizer = torch.optim.Adam(net.parameters())

    def halve(*_: Any) -> None:
        for p in net.parameters():
            p.grad.mul_(0.5)

    with Watch(optimizer, on_failure="raise") as watch:
        optimizer.register_step_pre_hook(halve)
        train(net, optimizer, 1)
    assert any("changed after it was copied" in words for words in watch.report().session.notes)
    assert watch.report().exit_code == 3


def test_a_gradient_that_the_step_itself_changes_is_told() -> None:
    net = model()
    seen, _ = failures(net, Halved(net.parameters()), 1, dialect="torch.Adam")
    assert "itself was changed inside the step" in str(seen[0])
    assert "CAUSE gradient-scaled: gradients are multiplied by 1/2" in str(seen[0])


def test_a_call_that_raises_is_not_judged_and_the_next_one_is() -> None:
    table, optimizer = sparse()
    with Watch(optimizer, on_failure="raise") as watch:
        table.weight.grad = torch.ones(50, 4)
        with pytest.raises(RuntimeError, match="does not support dense"):
            optimizer.step()
        table.weight.grad = None
        look_up(table, optimizer, [3])
    assert any("raised" in words for words in watch.report().session.notes)
    assert watch.report().judged[-1].elements == 4


@pytest.fixture
def undiagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No search for causes, which takes seconds."""
    monkeypatch.setattr(_session, "DIAGNOSED", 0)


@pytest.mark.usefixtures("undiagnosed")
def test_warnings_come_at_once_and_not_for_ever() -> None:
    net = model()
    optimizer = NoOp(net.parameters())
    with warnings.catch_warnings(record=True) as caught, Watch(optimizer, dialect="torch.Adam") as watch:
        warnings.simplefilter("always")
        train(net, optimizer, 5)
    assert len([warning for warning in caught if issubclass(warning.category, WatchWarning)]) == 3
    assert watch.report().session.failing == 5


@pytest.mark.usefixtures("undiagnosed")
def test_raising_stops_the_training() -> None:
    net = model()
    with pytest.raises(WatchError, match=r"call 1 of NoOp is not what torch\.Adam gives"):
        watched(net, NoOp(net.parameters()), dialect="torch.Adam")


def test_closing_takes_the_hooks_off() -> None:
    net = model()
    optimizer = torch.optim.Adam(net.parameters())
    watch = watched(net, optimizer, 2)
    train(net, optimizer, 3)
    assert watch.report().session.calls == 2


@pytest.mark.parametrize(
    ("optimizer", "options", "words"),
    [
        (lambda p: torch.optim.LBFGS(p), {}, "cannot watch a LBFGS: refimpl knows no exact step"),
        (lambda p: NoOp(p), {}, "cannot watch a NoOp: it has a step of its own"),
        (lambda p: object(), {}, "it is no torch.optim.Optimizer"),
        (lambda p: torch.optim.Adam(p), {"every": 0}, "give numbers from 1 on"),
        (lambda p: torch.optim.Adam(p), {"sample": 0}, "give numbers from 1 on"),
        (lambda p: torch.optim.Adam(p), {"moments": "int8"}, "is no format"),
        (lambda p: torch.optim.Adam(p), {"require": "exact"}, "is no numerics class"),
        (lambda p: torch.optim.Adam(p), {"on_failure": "log"}, "on_failure is 'log'"),
        (lambda p: torch.optim.Adam(p), {"on_change": "log"}, "on_change is 'log'"),
        (lambda p: torch.optim.Adam(p), {"dialect": "mindspore.Adam"}, "as PyTorch keeps them"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_a_reason(optimizer: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Watch(optimizer(list(model().parameters())), **options)


def test_a_subclass_without_a_step_of_its_own_is_what_its_base_is() -> None:
    net = model()
    report = watched(net, Mine(net.parameters()), 2).report()
    assert (report.exit_code, report.session.dialects) == (0, {"torch.AdamW"})


def test_parameters_of_several_formats_are_judged_each_in_its_own() -> None:
    params = [torch.nn.Parameter(torch.randn(64).to(dtype)) for dtype in (torch.float64, torch.float32, torch.bfloat16)]
    optimizer = torch.optim.Adam(params)
    with Watch(optimizer, on_failure="raise") as watch:
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(64).to(p.dtype)
            optimizer.step()
    assert (watch.report().exit_code, watch.report().attained) == (0, "exact-ieee")


def test_complex_parameters_are_left_out_and_named() -> None:
    z = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([z, p])
    z.grad, p.grad = torch.ones_like(z), torch.ones_like(p)
    with Watch(optimizer, on_failure="raise") as watch:
        optimizer.step()
    assert [*watch.report().session.notes] == ["not watched: 'group0.0', it is complex"]
    assert watch.report().elements == 3


def test_strided_tensors_and_other_devices_are_read_as_contiguous_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from refimpl.watch import _tensors

    for dtype in (torch.float32, torch.bfloat16):
        whole = torch.arange(24.0).reshape(4, 6).to(dtype)
        places = np.array([0, 5, 6, 11])
        elements, rows = _tensors.Rows(places, 0), _tensors.Rows(np.array([0, 3]), 6)
        plain = _tensors.take(whole, elements).astype(np.float64)
        strided = whole.t().contiguous().t()
        assert not strided.is_contiguous()
        assert (_tensors.take(strided, elements) == plain).all()
        fetched = _tensors._typed(_tensors._fetched(strided, np.unravel_index(places, (4, 6))), strided)
        assert (fetched.reshape(-1, 1) == plain).all()
        by_rows = _tensors.take(whole, rows)
        assert (_tensors._typed(_tensors._fetched(whole, (rows.numbers,)), whole) == by_rows).all()


def test_memory_is_that_of_the_sample() -> None:
    table, optimizer = sparse()
    with Watch(optimizer, on_failure="raise", sample=8) as watch:
        look_up(table, optimizer, list(range(40)))
    (judgement,) = watch.report().judged
    assert (judgement.drawn, judgement.population) == (2, 40)
    kept = sum(array.nbytes for _, after, _, _ in watch._last for array in after.values())
    assert kept == 0  # after `close`
