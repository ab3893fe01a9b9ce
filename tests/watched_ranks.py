"""Trainings on two processes of torch.distributed, each under Watch: what `test_watch_ranks.py` starts."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel
from watched_examples import example
from watched_optimizers import Halved, model

from refimpl import Watch

STEPS = 4


def ddp(rank: int) -> tuple[Any, Any]:
    return DistributedDataParallel(model()), torch.optim.AdamW


def steps(net: Any, optimizer: Any, rank: int, before: Any = lambda k: None) -> None:
    torch.manual_seed(rank)  # each rank has data of its own
    for k in range(STEPS):
        optimizer.zero_grad()
        net(torch.randn(16, 6)).square().mean().backward()
        before(k)
        optimizer.step()


def watched(net: Any, optimizer: Any, rank: int, before: Any = lambda k: None, **options: Any) -> Any:
    names = getattr(net, "module", net).named_parameters()
    with Watch(optimizer, **{"on_failure": lambda failure: None, "names": names, "patience": 30.0, **options}) as watch:
        steps(net, optimizer, rank, before)
    return watch.report()


def clean(rank: int) -> Any:
    net = DistributedDataParallel(model())
    return watched(net, torch.optim.AdamW(net.parameters()), rank, replicas=net)


def drifting(rank: int) -> Any:
    """Rank 1 goes on with its own gradient in the third step."""
    net = DistributedDataParallel(model())

    def before(k: int) -> None:
        if k == 2 and rank == 1:
            net.module[0].weight.grad += 1.0

    return watched(net, torch.optim.Adam(net.parameters()), rank, before, replicas=net)


def independent(rank: int) -> Any:
    """Each rank has a model of its own, and claims nothing."""
    torch.manual_seed(rank)
    net = torch.nn.Linear(6, 2 + rank)
    return watched(net, torch.optim.Adam(net.parameters()), rank)


def claimed_wrongly(rank: int) -> Any:
    net = torch.nn.Linear(6, 2 + rank)
    return watched(net, torch.optim.Adam(net.parameters()), rank, replicas=True, every=2)


def wrong_on_one(rank: int) -> Any:
    """The step of rank 1 halves its gradients; nothing is claimed to be alike."""
    net = model()
    kind = Halved if rank else torch.optim.Adam
    return watched(net, kind(net.parameters()), rank, dialect="torch.Adam")


def zero(rank: int) -> Any:
    net = DistributedDataParallel(model())
    return watched(net, ZeroRedundancyOptimizer(net.parameters(), torch.optim.AdamW), rank, replicas=net)


def sharded(rank: int) -> Any:
    """FSDP2: each rank judges its rows."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    net = model()
    fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
    return watched(net, torch.optim.AdamW(net.parameters()), rank, replicas=True)


def dying(rank: int) -> Any:
    """Rank 1 ends in the middle of a training without operations of all ranks."""
    net = model()

    def before(k: int) -> None:
        if rank and k == 2:
            os._exit(9)

    return watched(net, torch.optim.Adam(net.parameters()), rank, before, patience=2.0)


def apart(rank: int) -> Any:
    """The process group is gone when the watch is closed."""
    net = DistributedDataParallel(model())
    optimizer = torch.optim.AdamW(net.parameters())
    watch = Watch(optimizer, on_failure="raise", replicas=net)
    steps(net, optimizer, rank)
    dist.barrier()
    if rank == 0:
        dist.destroy_process_group()
    watch.close()
    return watch.report()


def of_the_guide(rank: int) -> Any:
    names: dict[str, Any] = {"__name__": "example"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(example("watch_ranks.py"), "watch_ranks.py", "exec"), names)
    return names["watch"].report()


def serve(rank: int, world: int, store: str, results: Any) -> None:
    """Run every training that is asked for, and send what the report says."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=timedelta(seconds=60))
    while name := results.recv():
        report = globals()[name](rank)
        results.send((report.exit_code, report.sentence, report.document(), str(report)))
