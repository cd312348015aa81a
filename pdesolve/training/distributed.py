"""The few words that several processes must exchange; with one process each is a no-op."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.rendezvous import rendezvous

# A rank that hears nothing from the others for this long ends: a dead rank ends the run.
TIMEOUT = timedelta(seconds=300)
_groups_made = itertools.count()


@dataclass(frozen=True)
class Place:
    """Where this process is.

    Args:
        device: where it computes.
        rank, world: its number among all processes.
        data_rank, data_world: which part of the samples is its own, of how many. Processes of
            the same part share the patches of its samples.
        patch_group: those processes, or None where it is alone.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    data_rank: int = 0
    data_world: int = 1
    patch_group: dist.ProcessGroup | None = None

    @property
    def patch_processes(self) -> int:
        """How many processes compute each sample together."""
        return self.world // self.data_world


@contextmanager
def processes(device: torch.device, patch_processes: int = 1) -> Iterator[Place]:
    """Yield this process's place as a context.

    A process group that the caller made is used; under torchrun one is made, and closed at the
    end: gloo for tensors on the CPU, nccl for those on GPUs.

    Args:
        device: where this process computes.
        patch_processes: consecutive processes that compute the same samples together.

    Raises:
        ValueError: the processes cannot be divided so.
    """
    ours = not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) > 1
    if ours:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        _join(backend)
    try:
        yield _place(device, patch_processes)
    finally:
        if ours:
            dist.destroy_process_group()


def _join(backend: str) -> None:
    # Under a name of its own: the store of torchrun outlives the group, and would tell the next
    # group in this process the addresses of the last one's subgroups.
    store, rank, world = next(rendezvous("env://", timeout=TIMEOUT))
    own = dist.PrefixStore(f"pdesolve/{next(_groups_made)}", store)  # pyright: ignore
    dist.init_process_group(backend, store=own, rank=rank, world_size=world, timeout=TIMEOUT)


def _place(device: torch.device, patch_processes: int) -> Place:
    world = dist.get_world_size() if dist.is_initialized() else 1
    if world % patch_processes:
        raise ValueError(
            f"patch_processes is {patch_processes} with {world} processes, expected a divisor: "
            f"start a multiple of {patch_processes} with torchrun, or take another number"
        )
    if world == 1:
        return Place(device)
    if patch_processes == 1:
        return Place(device, dist.get_rank(), world, dist.get_rank(), world)
    shape = (world // patch_processes, patch_processes)
    mesh = init_device_mesh(device.type, shape, mesh_dim_names=("data", "patch"))
    data_rank = mesh.get_local_rank("data")
    return Place(device, dist.get_rank(), world, data_rank, shape[0], mesh.get_group("patch"))


@contextmanager
def sharing_patches(models: Sequence[nn.Module], group: dist.ProcessGroup | None) -> Iterator[None]:
    """Let the modules that cut fields into patches compute this process's part of them only.

    Such a module has an attribute `patch_group`, which gets the group, and its old value back at
    the end. None: each process computes all patches.

    Raises:
        ValueError: there is a group, and a model with parameters outside of such modules, whose
            gradient would be counted once for each process.
    """
    modules = [m for model in models for m in model.modules() if hasattr(m, "patch_group")]
    inside = {p for module in modules for p in module.parameters()}
    if group is not None and not all(inside.issuperset(model.parameters()) for model in models):
        raise ValueError(
            f"patch_processes is {dist.get_world_size(group)} for a model that has parameters "
            f"outside of patches, expected 1: share the patches of an MGTFNO only; samples are "
            f"shared by all processes"
        )
    before = [module.patch_group for module in modules]
    try:
        for module in modules:
            module.patch_group = group  # pyright: ignore
        yield
    finally:
        for module, old in zip(modules, before, strict=True):
            module.patch_group = old  # pyright: ignore


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
