"""Trained dense spectral weights in Tucker form: fewer parameters, nearly the same operator."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..ops.ranks import tucker_ranks
from .spectral import SpectralConv
from .weight import DenseWeight, LayerWeight, TuckerWeight

# Alternating improvements of the factors after the first decomposition; they gain little.
SWEEPS = 5


@dataclass(frozen=True)
class Compression:
    """A compressed model and what the compression cost.

    Args:
        model: the model, with Tucker weights.
        errors: relative error ‖W - W'‖ / ‖W‖ of the weight of each layer, by its name in the
            model; layers of a joint weight are numbered.
        parameters: real numbers in the model, before and after.
    """

    model: nn.Module
    errors: dict[str, float]
    parameters: tuple[int, int]


def compress(model: nn.Module, rank: float | tuple[int, ...]) -> Compression:
    """Copy of a trained model whose dense spectral weights became Tucker weights.

        W ≈ core ×_in U_in ×_out U_out ×_1 U_1 ...        each U_j with orthonormal columns

    by the higher-order singular value decomposition of each weight, a joint one as a whole. The
    model can be trained further and saved.

    Args:
        model: any module with dense `SpectralConv`s inside; it is left as it is.
        rank: share of the dense entries (good values 0.05 to 0.5), or ranks, as for `SpectralConv`.

    Raises:
        ValueError: the model has no dense spectral weight, or ranks do not fit.

    Source: De Lathauwer, De Moor, Vandewalle 2000, doi 10.1137/S0895479896305696; tensorly's
    `tucker` computes it.
    """
    compressed = copy.deepcopy(model)
    errors: dict[str, float] = {}
    replaced: dict[nn.Module, TuckerWeight] = {}
    for name, module in list(compressed.named_modules()):
        if isinstance(module, DenseWeight):
            replaced[module], found = _decomposed(module, rank)
            numbers = [""] if module.shape.layers is None else [f"[{i}]" for i in range(len(found))]
            errors |= {f"{name}{n}": e for n, e in zip(numbers, found, strict=True)}
    if not replaced:
        raise ValueError(
            f"model {type(model).__name__} has no dense spectral weight, expected one built with "
            f"rank=None: there is nothing to compress"
        )
    for module in compressed.modules():
        _replace(module, replaced, rank)
    return Compression(compressed, errors, (_parameters(model), _parameters(compressed)))


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _decomposed(weight: DenseWeight, rank: Any) -> tuple[TuckerWeight, list[float]]:
    """Tucker weight closest to a dense one, and the relative error of each layer."""
    shape, dense = weight.shape, torch.view_as_complex(weight.dense.detach().cpu().double())
    sizes = tuple(shape.sizes.values())
    # Initial values are drawn and thrown away: not from the caller's random stream.
    with torch.random.fork_rng(devices=[]):
        tucker = TuckerWeight(shape, tucker_ranks(sizes, rank, joint=shape.layers is not None))
    tucker.to(weight.dense.device, weight.dense.dtype).train(weight.training)
    first = 0 if shape.layers is None else 1
    dims, channels = len(shape.modes), len(shape.channels)
    stored = (*range(first), *range(first + dims, first + dims + channels),
              *range(first, first + dims))  # fmt: skip
    tensor = dense.permute(stored)
    core, factors = _tucker(tensor, tuple(tucker.ranks.values()))
    state = {f"{n}_factor": f for n, f in zip(shape.sizes, factors, strict=True)}
    state["core"] = core.permute(sorted(range(len(stored)), key=stored.__getitem__))
    with torch.no_grad():
        for name, value in state.items():
            getattr(tucker, name).copy_(torch.view_as_real(value.resolve_conj()))
    return tucker, _errors(tensor, core, factors, joint=first == 1)


def _tucker(tensor: Tensor, ranks: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
    # Imported here: it costs half as much as torch, and few need it.
    from tensorly.backend import backend_context  # pyright: ignore
    from tensorly.decomposition import tucker

    # Another library may have set tensorly's backend for the whole process.
    with backend_context("numpy", local_threadsafe=True):
        core, factors = tucker(tensor.numpy(), rank=ranks, init="svd", n_iter_max=SWEEPS)
    return torch.from_numpy(core), [torch.from_numpy(f) for f in factors]


def _errors(tensor: Tensor, core: Tensor, factors: list[Tensor], *, joint: bool) -> list[float]:
    for factor in factors:
        # The first axis is contracted and its factor's put last: after all of them, the old order.
        core = torch.tensordot(core, factor, dims=([0], [1]))  # pyright: ignore
    rows = (tensor - core, tensor) if joint else ((tensor - core)[None], tensor[None])
    off, size = (torch.linalg.vector_norm(row.flatten(1), dim=1) for row in rows)
    return (off / size).tolist()


def _replace(module: nn.Module, replaced: dict[nn.Module, TuckerWeight], rank: Any) -> None:
    inside = any(child in replaced for child in module.modules())
    for name, child in list(module.named_children()):
        if child in replaced:
            setattr(module, name, replaced[child])
    if isinstance(module, SpectralConv) and isinstance(view := module.weight, LayerWeight):
        module.weight = LayerWeight(replaced.get(view.weight, view.weight), view.layer)
    arguments = getattr(module, "constructor_arguments", {})
    if inside and "rank" in arguments:
        # What `save` writes, and `load` builds the model from.
        arguments["rank"] = rank
