"""What evaluation keeps of a weight: kernels that were built from its parameters."""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Kernel = TypeVar("Kernel")


class KeptKernels(Generic[Kernel]):
    """One kernel for each layer, valid while its parameters are the same tensors, unchanged.

    Copies and pickles of it are empty: they would hold tensors that no one else has.
    """

    def __init__(self):
        self._entries: dict[Hashable, _Entry] = {}

    def kernel(
        self,
        layer: Hashable,
        use: Hashable,
        parameters: tuple[Tensor, ...],
        make: Callable[[], Kernel],
    ) -> Kernel:
        """The kept kernel if it still holds, else a new one.

        Args:
            layer: for which layer.
            use: for which modes and precision; a layer keeps the latest.
            parameters: what the kernel is made of.
            make: builds it.
        """
        # Substituted parameters (functional calls) and tensors of inference mode count no changes.
        if any(type(p) is not nn.Parameter or p.is_inference() for p in parameters):
            return make()
        entry = self._entries.get(layer)
        if entry is None or entry.use != use or not entry.holds(parameters):
            entry = _Entry(use, parameters, make())
            self._entries[layer] = entry
        return entry.kernel

    def forget(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def __reduce__(self):
        return KeptKernels, ()


class _Entry:
    def __init__(self, use: Hashable, parameters: tuple[Tensor, ...], kernel: Any):
        self.use, self.kernel = use, kernel
        # The parameters themselves, so that no new tensor can be taken for an old one.
        self.parameters, self.state = parameters, _state(parameters)
        self.values = [p.detach().clone() for p in parameters]

    def holds(self, parameters: tuple[Tensor, ...]) -> bool:
        same = all(a is b for a, b in zip(self.parameters, parameters, strict=True))
        if not same or self.state != _state(parameters):
            return False
        # Fused optimisers change parameters without counting it. They need gradients, so where
        # there are none, numbers are not compared (on a GPU that would wait for them).
        if all(p.grad is None for p in parameters):
            return True
        return all(map(torch.equal, self.values, parameters))


def _state(parameters: tuple[Tensor, ...]) -> list[tuple[int, int]]:
    return [(p.data_ptr(), p._version) for p in parameters]
