"""Weights of `neuralop.layers.spectral_convolution.SpectralConv`, release 2.0.0, to ours and back.

Theirs are complex, channels before modes, and keep the wavenumbers of all axes but the last in
ascending order; ours are pairs, modes before channels, 0, 1, ..., then -1, -2, ... .
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..ops.band import kept
from .weight import CPWeight, DenseWeight, SpectralWeight, TTWeight, TuckerWeight

if TYPE_CHECKING:
    from .spectral import SpectralConv


def form_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments `rank` and `factorization` of the layer that these weights fit."""
    if "weight.tensor" in state_dict:
        return {"rank": None}
    if "weight.core" in state_dict:
        return {"rank": tuple(state_dict["weight.core"].shape), "factorization": "tucker"}
    if "weight.weights" in state_dict:
        return {"rank": tuple(state_dict["weight.weights"].shape), "factorization": "cp"}
    cores = sorted(name for name in state_dict if name.startswith("weight.factors.factor_"))
    return {
        "rank": tuple(int(state_dict[name].shape[0]) for name in cores[1:]),
        "factorization": "tt",
    }


def fill(layer: "SpectralConv", state_dict: Mapping[str, Tensor]) -> None:
    """Copy their weights into a layer of ours, which takes over their precision."""
    assert isinstance(layer.weight, SpectralWeight)
    wide = any(value.dtype in (torch.complex128, torch.float64) for value in state_dict.values())
    layer.to(torch.float64 if wide else torch.float32)
    with torch.no_grad():
        for name, (foreign, axes, order) in _names(layer.weight).items():
            value = state_dict[foreign]
            for axis, count in axes.items():
                value = value.index_select(axis, torch.tensor(_theirs(count)))
            getattr(layer.weight, name).copy_(torch.view_as_real(value.permute(order)))
        if layer.bias is not None:
            layer.bias.copy_(state_dict["bias"].flatten())


def state_dict_of(layer: "SpectralConv") -> dict[str, Tensor]:
    """Weights of a layer of ours under their names."""
    assert isinstance(layer.weight, SpectralWeight)
    result = {}
    for name, (foreign, axes, order) in _names(layer.weight).items():
        value = torch.view_as_complex(getattr(layer.weight, name).detach())
        value = value.permute(sorted(range(len(order)), key=order.__getitem__))
        for axis, count in axes.items():
            value = value.index_select(axis, torch.tensor(_theirs(count)).argsort())
        result[foreign] = value.contiguous()
    if layer.bias is not None:
        result["bias"] = layer.bias.detach().reshape(-1, *[1] * len(layer.modes)).clone()
    return result


def _theirs(count: int) -> list[int]:
    """Where they store our modes, in our order."""
    return [k + count // 2 for k in kept(count, count)]


def _names(weight: SpectralWeight) -> dict[str, tuple[str, dict[int, int], tuple[int, ...]]]:
    """Our name: their name, {centred axis: its modes}, and where each of our axes is in theirs."""
    sizes, channels = weight.shape.sizes, len(weight.shape.channels)
    dims = len(weight.shape.modes)
    modes_first = (*range(channels, channels + dims), *range(channels))
    names: dict[str, tuple[str, dict[int, int], tuple[int, ...]]] = {}
    centred = {name: n for name, n in sizes.items() if name.startswith("mode_")}
    centred.popitem()
    if isinstance(weight, DenseWeight):
        axes = {channels + j: n for j, n in enumerate(centred.values())}
        return {"dense": ("weight.tensor", axes, modes_first)}
    if isinstance(weight, TuckerWeight):
        names["core"] = ("weight.core", {}, modes_first)
    if isinstance(weight, CPWeight):
        names["scale"] = ("weight.weights", {}, (0,))
    train = isinstance(weight, TTWeight)
    for index, name in enumerate(sizes):
        axes = {int(train): centred[name]} if name in centred else {}
        order = (0, 1, 2) if train else (0, 1)
        names[f"{name}_{'core' if train else 'factor'}"] = (
            f"weight.factors.factor_{index}", axes, order,
        )  # fmt: skip
    return names
