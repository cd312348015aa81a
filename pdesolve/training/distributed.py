"""The few words that several processes must exchange; with one process each is a no-op."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

# A rank that hears nothing from the others for this long ends: a dead rank ends the run.
TIMEOUT = timedelta(seconds=300)


@dataclass(frozen=True)
class Place:
    """Where this process is: its device, and its rank among `world` processes."""

    device: torch.device
    rank: int = 0
    world: int = 1


@contextmanager
def processes(device: torch.device) -> Iterator[Place]:
    """Yield this process's place as a context.

    A process group that the caller made is used; under torchrun one is made, and closed at the
    end: gloo for tensors on the CPU, nccl for those on GPUs.
    """
    ours = not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) > 1
    if ours:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        if dist.is_initialized():
            yield Place(device, dist.get_rank(), dist.get_world_size())
        else:
            yield Place(device)
    finally:
        if ours:
            dist.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """Return this process's own device: under torchrun CUDA without a number is the local rank."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def all_sum(values: Sequence[float]) -> list[float]:
    """Return the sums of the values over all processes, in float64."""
    if not dist.is_initialized():
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total)
    return total.tolist()


def is_main_process() -> bool:
    """Whether this process is the one that writes files, also after the group was closed."""
    if dist.is_initialized():
        return dist.get_rank() == 0
    return int(os.environ.get("RANK", 0)) == 0
