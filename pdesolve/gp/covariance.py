"""A user's kernel as the prior of one axis: features whose covariance is the kernel.

Kernels that are sums of cosines have exact features. Others are interpolated from the nodes,

    φ(x) = k(x, X) V Λ^-1/2,    K = k(X, X) = V Λ Vᵀ,    φ(x) φ(x')ᵀ = k(x, X) K⁻¹ k(X, x')

which is k itself wherever x or x' is a node. Derivatives are those of k(x, X), in closed form.
"""

import math
from dataclasses import dataclass

import torch
from gpytorch.kernels import Kernel
from jaxtyping import Float
from torch import Tensor

from ..ops.toeplitz import even_toeplitz
from .axis import Axis
from .features import Features
from .kernels import StationaryKernel, from_gpytorch

# Share of the largest covariance below which a kernel does not repeat after a period.
_REPEATS = 1e-10


@dataclass(frozen=True, eq=False)
class Sections:
    """Features of a kernel that interpolate it from its nodes.

    Args:
        kernel: k.
        nodes: X (n,).
        whitening: V Λ^-1/2 (n, r), of the eigenvalues above rounding.
        accuracy: relative rounding error that K⁻¹ leaves in a solution, ε √(Λ_max / Λ_min).
    """

    kernel: StationaryKernel
    nodes: Float[Tensor, " n"]
    whitening: Float[Tensor, "n r"]
    accuracy: float

    def __call__(self, x: Float[Tensor, " m"], order: int = 0) -> Float[Tensor, "m r"]:
        """Return the order-th derivative of every feature at x.

        Raises:
            ValueError: the kernel is not smooth enough.
        """
        return sections(self.kernel, x, self.nodes, order) @ self.whitening

    @property
    def rank(self) -> int:
        """Number of features: of nodes, but for eigenvalues that are rounding."""
        return self.whitening.shape[1]

    @property
    def top(self) -> float:
        """Angular frequency that the nodes resolve, which scales boundary conditions."""
        return math.pi / float(self.nodes[1] - self.nodes[0])


@torch.no_grad()
def features_of(kernel: Kernel, axis: Axis) -> tuple[Features | Sections, float]:
    """Return features of a kernel on one axis, and the accuracy that they leave.

    Args:
        kernel: one of `gp.kernels`, or a stock gpytorch kernel that has an equal there.
        axis: nodes and interval.

    Returns:
        Features with φ(x) φ(x')ᵀ = k(x - x'), and the relative rounding error of solutions in
        them: 1e-16 times the largest phase for cosines, up to 1e-8 for sections of smooth kernels.

    Raises:
        ValueError: the kernel is unknown, or the axis is periodic and the kernel is not.
    """
    kernel = from_gpytorch(kernel)
    if axis.periodic:
        _check_periodic(kernel, axis)
    lines = kernel.lines(axis.length)
    if lines is not None:
        features = Features(lines.frequencies, axis.length / 2, lines.weights.sqrt())
        return features, torch.finfo(axis.nodes.dtype).eps * max(1.0, features.top * axis.length)
    found = _sections_of(kernel, axis.nodes)
    return found, found.accuracy


def sections(
    kernel: StationaryKernel, x: Float[Tensor, " m"], nodes: Float[Tensor, " n"], order: int
) -> Float[Tensor, "m n"]:
    """Return ∂^order k(x_i - X_j), the derivative taken in x."""
    return kernel.derivs(x[:, None] - nodes, order)[order]


def covariance(
    kernel: StationaryKernel, nodes: Float[Tensor, " n"], order: int = 0
) -> Float[Tensor, "n n"]:
    """Return k^(order)(X_i - X_j) for uniform nodes from n distances: (skew-)Toeplitz."""
    return even_toeplitz(kernel.derivs(nodes - nodes[0], order)[order], parity=order)


def _sections_of(kernel: StationaryKernel, nodes: Tensor) -> Sections:
    values, vectors = torch.linalg.eigh(covariance(kernel, nodes))
    epsilon = torch.finfo(values.dtype).eps
    # Below it eigenvalues of a positive definite matrix are rounding, and often negative.
    kept = values > len(nodes) * epsilon * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    accuracy = epsilon * float((values[-1] / values[0]).sqrt())
    return Sections(kernel, nodes, vectors / values.sqrt(), accuracy)


def _check_periodic(kernel: StationaryKernel, axis: Axis) -> None:
    z = axis.nodes - axis.nodes[0]
    once, again = kernel.derivs(z, 0)[0], kernel.derivs(z + axis.length, 0)[0]
    if float((once - again).abs().max()) > _REPEATS * float(once.abs().max()):
        raise ValueError(
            f"kernel {type(kernel).__name__} does not repeat after the period {axis.length:g} of "
            f"its axis, expected one that does: take Periodic(period={axis.length:g}), a product "
            "with it of equal period, or no kernel"
        )
