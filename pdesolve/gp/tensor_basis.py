"""Functions of one axis that are orthonormal in L2, and what the equation needs of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .boundary import Functional
from .expansion import Basis
from .spectrum import svd

# "galerkin" tests with the functions themselves, "derivative" with their highest derivative.
# "collocation" takes the residual on as many nodes as there are unknowns.
TestSpace = Literal["galerkin", "derivative", "collocation"]

# Functions whose norm is below this share of the largest are rounding.
_RANK = 1e-13
_PSEUDO_INVERSE = 1e-12
# The functions are made orthonormal on a grid so much finer than the nodes; on the nodes alone
# they could grow between them.
_FINER = 4
# Where there are many more nodes than waves, so many points for each of these are enough.
_PER_WAVE, _AT_LEAST = 16, 400


@runtime_checkable
class RankedBasis(Basis, Protocol):
    """A basis that knows how many functions it has."""

    @property
    def rank(self) -> int:
        """Number of functions."""
        ...


@dataclass(frozen=True, eq=False)
class OrthonormalBasis:
    """q(x) = φ(x) T: combinations of features that are orthonormal on [0, L]."""

    features: Basis
    transform: Float[Tensor, "m r"]

    @classmethod
    def of(cls, features: Basis, axis: Axis, *, least: float = _RANK) -> "OrthonormalBasis":
        """Return the functions that the features span, but for those of a norm below `least`."""
        sizes, right = principal(features, axis)
        kept = sizes > least * sizes[0]
        return cls(features, right[kept].T / sizes[kept])

    @property
    def rank(self) -> int:
        """Number of functions."""
        return self.transform.shape[1]

    @property
    def top(self) -> float:
        """Highest angular frequency of the features."""
        return self.features.top

    @property
    def device(self) -> torch.device:
        """Where the functions are computed."""
        return self.transform.device

    def __call__(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, "n r"]:
        """Return the order-th derivative of every function at x."""
        return self.features(x, order) @ self.transform


def principal(features: Basis, axis: Axis) -> tuple[Float[Tensor, " m"], Float[Tensor, "m m"]]:
    """Return S and Vᵀ of features = U S Vᵀ on [0, L]: norms of the combinations φ V."""
    waves = math.ceil(features.top * axis.length / (2 * math.pi))
    count = min(_FINER * len(axis.nodes), _PER_WAVE * waves + _AT_LEAST)
    x = torch.linspace(0, axis.length, count + 1, dtype=torch.float64, device=axis.nodes.device)
    weights = torch.full_like(x, axis.length / count)
    weights[[0, -1]] /= 2
    # The triangle of a QR factorisation has the same right singular vectors and is small.
    triangle = torch.linalg.qr(weights.sqrt()[:, None] * features(x), mode="r")[1]
    _, sizes, right = svd(triangle)
    return sizes, right


@dataclass(frozen=True, eq=False)
class Form:
    """One axis of the Kronecker system.

    Args:
        basis: functions of the axis.
        axis: nodes of the axis.
        functionals: conditions across the axis.
        highest: derivative that the equation takes along it.
        test_space: what residuals are tested with.
    """

    basis: RankedBasis
    axis: Axis
    functionals: Sequence[Functional]
    highest: int
    test_space: TestSpace

    @cached_property
    def conditions(self) -> Float[Tensor, "k r"]:
        """Boundary functionals of every function, scaled by `scales`."""
        if not self.functionals:
            return self.axis.nodes.new_zeros(0, self.basis.rank)
        rows = torch.stack([f.row(self.basis, self.axis.nodes.device) for f in self.functionals])
        return rows / self.scales[:, None]

    @cached_property
    def scales(self) -> Float[Tensor, " k"]:
        """What a condition is divided by, so that derivatives weigh no more than values."""
        top = max(self.basis.top, 1.0)
        return self.axis.nodes.new_tensor([top**f.order for f in self.functionals])

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        return torch.linalg.svd(self.conditions, full_matrices=True)

    @cached_property
    def inside(self) -> Float[Tensor, "r free"]:
        """Z: an orthonormal basis of the functions that satisfy homogeneous conditions."""
        count = len(self.functionals)
        return (
            self._factors[2][count:].T if count else torch.eye(self.basis.rank).to(self.axis.nodes)
        )

    @cached_property
    def lift(self) -> Float[Tensor, "r k"]:
        """G: right inverse of the conditions, B G = I."""
        left, sizes, right = self._factors
        return right[: len(sizes)].T @ ((left / sizes).T)

    @cached_property
    def nodal_inverse(self) -> Float[Tensor, "r n"]:
        """Map from values on the nodes to coefficients."""
        return torch.linalg.pinv(self.basis(self.axis.nodes), rtol=_PSEUDO_INVERSE)

    @cached_property
    def test(self) -> Float[Tensor, "free n"]:
        """P: map from residuals on the nodes to as many equations as there are unknowns."""
        if self.test_space == "collocation":
            return torch.eye(len(self.axis.nodes)).to(self.inside)[
                kept_nodes(self.functionals, self.axis)
            ]
        order = self.highest if self.test_space == "derivative" else 0
        return torch.linalg.pinv(
            self.basis(self.axis.nodes, order) @ self.inside, rtol=_PSEUDO_INVERSE
        )

    def tested(self, order: int) -> Float[Tensor, "free free"]:
        """Return P E⁽ⁿ⁾ Z, the tested derivative of the free functions."""
        return self.test @ (self.basis(self.axis.nodes, order) @ self.inside)

    @cached_property
    def tested_inverse(self) -> Float[Tensor, "free free"]:
        """(P E Z)⁻¹."""
        return torch.linalg.inv(self.tested(0))


def automatic_test_spaces(functionals: Sequence[Functional], dims: int) -> list[TestSpace]:
    """Return "derivative" for each axis whose conditions lie at one end, else "galerkin"."""
    ends = [{f.position for f in functionals if f.axis == j} for j in range(dims)]
    return ["derivative" if len(own) == 1 else "galerkin" for own in ends]


def other_test_spaces(functionals: Sequence[Functional], dims: int) -> list[list[TestSpace]]:
    """Return what to test with where Newton's iteration does not contract in the automatic ones.

    Derivatives on all axes that have conditions, or the functions themselves on all. Constants
    have no derivative to be tested with, so conditions must hold them.
    """
    held = [any(f.axis == j for f in functionals) for j in range(dims)]
    every: list[TestSpace] = ["derivative" if h else "galerkin" for h in held]
    own = automatic_test_spaces(functionals, dims)
    return [spaces for spaces in (every, ["galerkin"] * dims) if spaces != own]  # pyright: ignore[reportReturnType]


def kept_nodes(functionals: Sequence[Functional], axis: Axis) -> Tensor:
    """Return the nodes at which a collocation demands the equation.

    At each end it is given up on as many nodes as there are conditions.
    """
    low = sum(f.position == 0 for f in functionals)
    count = len(axis.nodes)
    return torch.arange(low, count - (len(functionals) - low), device=axis.nodes.device)
