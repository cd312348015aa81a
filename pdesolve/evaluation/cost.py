"""What a model costs: time of a call, and memory of the tensors that it holds at once."""

import statistics
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def call_seconds(
    call: Callable[[], object], device: torch.device, *, repeats: int = 5, warm_up: int = 1
) -> float:
    """Return the median time of a call.

    On the CPU it is processor time of all threads, which other jobs of the machine lengthen less
    than the time on the wall; elsewhere it is time on the wall until the device is done.

    Args:
        call: what to time.
        device: where it works.
        repeats: calls that are timed.
        warm_up: calls before, which set up what later ones use.
    """
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        started = _clock(device)
        call()
        times.append(_clock(device) - started)
    return statistics.median(times)


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Return the largest memory of tensors that a call holds at once, beyond what is held before.

    On CUDA the allocator tells; on the CPU every tensor is counted as it comes and goes. Work space
    inside of an operation (of an FFT, say) is seen on CUDA only. Call once before, or what is
    set up once is counted.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _Counted() as counted:
        call()
    return counted.peak


class _Counted(TorchDispatchMode):
    """Counts the bytes of storages that operations make, while they live."""

    def __init__(self):
        super().__init__()
        self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        before = {tensor.untyped_storage()._cdata for tensor in given}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage(), before)
        return result

    def _count(self, storage: torch.UntypedStorage, before: set[int]) -> None:
        # A view has the storage of an argument, whether that was made here or earlier.
        name = storage._cdata
        if name in before or name in self._known:
            return
        size = storage.nbytes()
        self._known.add(name)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._release, name, size)

    def _release(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.held -= size


def _clock(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
