"""Communication hooks of DistributedDataParallel, right ones and wrong ones, as users register them."""

from typing import Any

import torch.distributed as dist


def _reduced(group: Any, bucket: Any, scale: float) -> Any:
    future = dist.all_reduce(bucket.buffer(), group=group, async_op=True).get_future()
    return future.then(lambda done: done.value()[0] * scale)


def averaging(group, bucket):  # type: ignore[no-untyped-def]  # PyTorch wants a hook's annotations to be its own types, or none
    """What DistributedDataParallel does by itself."""
    return _reduced(group, bucket, 1 / dist.get_world_size(group))


def summing(group, bucket):  # type: ignore[no-untyped-def]
    """The sum where the mean is due."""
    return _reduced(group, bucket, 1.0)


def halving(group, bucket):  # type: ignore[no-untyped-def]
    """Gradients divided by the number of ranks twice: on two ranks, half of what they must be."""
    return _reduced(group, bucket, 1 / dist.get_world_size(group) ** 2)


def keeping(group, bucket):  # type: ignore[no-untyped-def]
    """Nothing is reduced: each rank goes on with its own gradient."""
    future = dist.all_reduce(bucket.buffer().new_zeros(1).to_dense(), group=group, async_op=True).get_future()
    return future.then(lambda done: bucket.buffer())


def failing(group, bucket):  # type: ignore[no-untyped-def]
    """One rank raises where the others wait for it."""
    if dist.get_rank(group) == 1:
        raise ValueError("no more memory on this rank")
    return _reduced(group, bucket, 1.0)


def ending(group, bucket):  # type: ignore[no-untyped-def]
    """One rank ends."""
    import os

    if dist.get_rank(group) == 1:
        os._exit(9)
    return _reduced(group, bucket, 1.0)
