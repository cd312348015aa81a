"""A user's kernel as the prior of one axis: features whose covariance is the kernel.

Kernels that are sums of cosines have exact features. Others are spanned by what is observed: with
observations ℓ_i (values at nodes, or the equation at nodes and the boundary conditions),

    φ(x) = c(x) V Λ^-1/2,   c_i(x) = ℓ_i' k(x, x'),   G_ij = ℓ_i c_j = V Λ Vᵀ

A prior c ~ N(0, I) of the weights of φ then has the covariance k between any point and any
observation, so that the posterior mean in features is that of the kernel. Derivatives are those of
c, in closed form.
"""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from gpytorch.kernels import Kernel
from jaxtyping import Float
from torch import Tensor

from ..ops.toeplitz import even_toeplitz
from .axis import Axis
from .features import Features
from .kernels import StationaryKernel, from_gpytorch
from .problem import Problem

# Share of the largest covariance below which a kernel does not repeat after a period.
_REPEATS = 1e-10


@dataclass(frozen=True, eq=False)
class Observation:
    """What is read of a function at some points: Σ_n c_n ∂ⁿu.

    Args:
        points: (n,).
        terms: derivative order n to coefficient c_n.
    """

    points: Float[Tensor, " n"]
    terms: Mapping[int, float]

    def sections(
        self, kernel: StationaryKernel, x: Float[Tensor, " m"], order: int
    ) -> Float[Tensor, "m n"]:
        """Return cov(∂^order u(x_i), what is read at point j) = Σ_n c_n (-1)ⁿ k^(order + n)."""
        derivs = kernel.derivs(x[:, None] - self.points, order + max(self.terms))
        parts = [c * (-1) ** n * derivs[order + n] for n, c in self.terms.items()]
        return torch.stack(parts).sum(0)


@dataclass(frozen=True, eq=False)
class Sections:
    """Features of a kernel that span the covariances with what is observed.

    Args:
        kernel: k.
        observations: ℓ.
        whitening: V Λ^-1/2 (n, r), of the eigenvalues above rounding.
        top: angular frequency that the nodes resolve, which scales boundary conditions.
        accuracy: relative rounding error that the Gram matrix leaves, about ε √(Λ_max / Λ_min).
    """

    kernel: StationaryKernel
    observations: Sequence[Observation]
    whitening: Float[Tensor, "n r"]
    top: float
    accuracy: float

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, " m"], order: int = 0) -> Float[Tensor, "m r"]:
        """Return the order-th derivative of every feature at x.

        Raises:
            ValueError: the kernel is not smooth enough.
        """
        return _sections(self.kernel, self.observations, x, order) @ self.whitening

    @property
    def rank(self) -> int:
        """Number of features: of observations, but for eigenvalues that are rounding."""
        return self.whitening.shape[1]

    @torch.no_grad()
    def unseen_variance(self, x: Float[Tensor, " m"], order: int = 0) -> Float[Tensor, " m"]:
        """Return the variance of ∂^order u(x) that no observation tells of, k - φ φᵀ.

        It is the posterior variance without noise, and a part of it with noise.
        """
        whole = (-1) ** order * self.kernel.derivs(x.new_zeros(1), 2 * order)[2 * order]
        return (whole - self(x, order).square().sum(1)).clamp_min(0)


@torch.no_grad()
def features_of(
    kernel: Kernel, axis: Axis, observations: Sequence[Observation] | None = None
) -> tuple[Features | Sections, float]:
    """Return features of a kernel on one axis, and the accuracy that they leave.

    Args:
        kernel: one of `gp.kernels`, or a stock gpytorch kernel that has an equal there.
        axis: nodes and interval.
        observations: what the solution will be fitted to, for the posterior mean of the kernel
            itself; None is the values at the nodes, which span the interpolants of GP-HM.

    Returns:
        Features with φ(x) φ(x')ᵀ = k(x - x'), and the relative rounding error of solutions in
        them: 1e-16 times the largest phase for cosines, up to 1e-8 for sections of smooth kernels.

    Raises:
        ValueError: the kernel is unknown or too rough for what is observed, or the axis is
            periodic and the kernel is not.
    """
    # A copy in float64 where the nodes are: the caller's kernel stays as it is.
    kernel = deepcopy(from_gpytorch(kernel)).to(axis.nodes)
    if axis.periodic:
        _check_periodic(kernel, axis)
    lines = kernel.lines(axis.length)
    if lines is not None:
        features = Features(lines.frequencies, axis.length / 2, lines.weights.sqrt())
        return features, torch.finfo(axis.nodes.dtype).eps * max(1.0, features.top * axis.length)
    found = _sections_of(kernel, axis, observations or [Observation(axis.nodes, {0: 1.0})])
    return found, found.accuracy


def observations_of(problem: Problem) -> list[Observation]:
    """Return what a one-dimensional problem says of its solution: the equation and the conditions.

    A linear equation with constant coefficients is one observation a node. Of any other each
    derivative that it reads is one, so that every linearisation is spanned.

    Source: Chen, Hosseini, Owhadi, Stuart 2021, arXiv 2103.12959 (nonlinear equations).
    """
    nodes = problem.axes[0].nodes
    if problem.constant:
        read = [Observation(nodes, {n: c for (n,), c in problem.symbol.items()})]
    else:
        read = [Observation(nodes, {n: 1.0}) for (n,) in problem.jet.orders]
    faces = [Observation(nodes.new_tensor([f.position]), f.terms) for f in problem.functionals]
    return [*read, *faces]


def covariance(
    kernel: StationaryKernel, nodes: Float[Tensor, " n"], order: int = 0
) -> Float[Tensor, "n n"]:
    """Return k^(order)(X_i - X_j) for uniform nodes from n distances: (skew-)Toeplitz."""
    return even_toeplitz(kernel.derivs(nodes - nodes[0], order)[order], parity=order)


def _sections_of(
    kernel: StationaryKernel, axis: Axis, observations: Sequence[Observation]
) -> Sections:
    rows = []
    for observed in observations:
        parts = [
            c * _sections(kernel, observations, observed.points, n)
            for n, c in observed.terms.items()
        ]
        rows.append(torch.stack(parts).sum(0))
    gram = torch.cat(rows)
    # Observations of different units: correlations have the eigenvalues that rounding spares.
    scale = gram.diagonal().rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * gram * scale)
    epsilon = torch.finfo(values.dtype).eps
    # Below it eigenvalues of a positive definite matrix are rounding, and often negative.
    kept = values > len(gram) * epsilon * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    whitening = scale[:, None] * vectors / values.sqrt()
    top = math.pi / float(axis.nodes[1] - axis.nodes[0])
    accuracy = epsilon * float((values[-1] / values[0]).sqrt())
    return Sections(kernel, observations, whitening, top, accuracy)


def _sections(
    kernel: StationaryKernel, observations: Sequence[Observation], x: Tensor, order: int
) -> Tensor:
    return torch.cat([observed.sections(kernel, x, order) for observed in observations], dim=1)


def _check_periodic(kernel: StationaryKernel, axis: Axis) -> None:
    z = axis.nodes - axis.nodes[0]
    once, again = kernel.derivs(z, 0)[0], kernel.derivs(z + axis.length, 0)[0]
    if float((once - again).abs().max()) > _REPEATS * float(once.abs().max()):
        raise ValueError(
            f"kernel {type(kernel).__name__} does not repeat after the period {axis.length:g} of "
            f"its axis, expected one that does: take Periodic(period={axis.length:g}), a product "
            "with it of equal period, or no kernel"
        )
