"""Momentum whose matrices are replaced by the nearest isometry: every direction moves equally."""

import math
from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.optim import Optimizer

from .adamw import adamw_update

# Below four rows or columns a matrix is a few vectors, which AdamW scales better.
SMALLEST_SIDE = 4
# Newton-Schulz polynomial a + b s² + c s⁴: steep at 0, and it keeps singular values within about
# 0.7 to 1.2, which is near enough to 1. From Jordan et al. 2024.
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Gives the update the size of an AdamW step, so that both share a learning rate (Liu et al. 2025).
ADAM_SIZE = 0.2

Matrices = Float[Tensor, "b rows columns"] | Complex[Tensor, "b rows columns"]


class OrthogonalMomentum(Optimizer):
    """Muon: with momentum M of the gradient G of a matrix W (rows x columns),

        M ← μ M + (1 - μ) G        W ← (1 - lr λ) W - lr 0.2 √max(rows, columns) U Vᴴ

    where U S Vᴴ = μ M + (1 - μ) G (Nesterov) is a singular value decomposition; five Newton-Schulz
    iterations come near to U Vᴴ without one.

    Args:
        groups: parameter groups with the flags "matrix" (else AdamW) and "pairs" (complex numbers
            stored as (..., 2)).
        lr, momentum, weight_decay, betas: as in `Muon`.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        betas: tuple[float, float],
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "betas": betas}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; with a closure, evaluate it first and return its value."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["matrix"]:
                self._step_matrices(parameters, group)
            else:
                for parameter in parameters:
                    adamw_update(parameter, self.state[parameter], group, pairs=False)
        return loss

    def _step_matrices(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        alike = defaultdict(list)
        for parameter in parameters:
            matrix = as_matrix(self._nesterov(parameter, group), pairs=group["pairs"])
            alike[matrix.shape, matrix.dtype].append((parameter, matrix))
        for (shape, _), members in alike.items():
            # Layers of one shape in one call: small matrices cost their launches, not their flops.
            directions = orthogonalized(torch.stack([matrix for _, matrix in members]))
            length = group["lr"] * ADAM_SIZE * math.sqrt(max(shape))
            for (parameter, _), direction in zip(members, directions, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                update = from_matrix(direction, parameter, pairs=group["pairs"])
                parameter.add_(update, alpha=-length)

    def _nesterov(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(momentum, group["momentum"])


def orthogonalized(matrices: Matrices) -> Matrices:
    """Return matrices near U Vᴴ of each U S Vᴴ, singular values within about 0.7 to 1.2.

    Newton-Schulz: X ← p(X Xᴴ) X with p(G) = a + b G + c G², from X = A / ‖A‖, in the dtype of the
    matrices. Every iterate is a polynomial of the first G = X Xᴴ times the first X, so the
    iteration runs on the small square matrices alone: G ← p(G) G p(G).
    Singular values below about 1e-3 of the norm ‖A‖ come out smaller.
    """
    a, b, c = POLYNOMIAL
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mH if tall else matrices
    # A zero gradient stays zero instead of 0 / 0.
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    gram, product = x @ x.mH, None
    for _ in range(ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    assert product is not None
    # Real pairs cannot be viewed through a pending conjugation.
    return (product @ x).mH.resolve_conj() if tall else product @ x


def is_matrix(parameter: Tensor, *, pairs: bool) -> bool:
    """Whether a parameter is orthogonalised as a matrix."""
    axes = parameter.ndim - 1 if pairs else parameter.ndim
    return axes >= 2 and min(as_matrix(parameter.detach(), pairs=pairs).shape) >= SMALLEST_SIDE


def as_matrix(weight: Tensor, *, pairs: bool) -> Tensor:
    """Return a weight as (rows, columns).

    Real weights (out, in, *kernel) become (out, in * kernel); complex ones (*modes, in, out), the
    channels last, become (in, modes * out), and those of two axes stay as they are.
    """
    if pairs:
        weight = torch.view_as_complex(weight.contiguous())
        weight = weight.movedim(-2, 0)
    return weight.flatten(1)


def from_matrix(matrix: Tensor, like: Tensor, *, pairs: bool) -> Tensor:
    """Return a matrix in the shape of the weight that `as_matrix` took it from."""
    if not pairs:
        return matrix.view(like.shape)
    *modes, rows, columns = like.shape[:-1]
    return torch.view_as_real(matrix.reshape(rows, *modes, columns).movedim(0, -2))
