"""The prior of GP-HM: a Gaussian process on a grid whose values and kernels are all unknowns.

    u ~ GP(0, k_1 ⊗ ... ⊗ k_d),    U = u(X_1 x ... x X_d),    ∂_j^n u = K_j^(n) K_j⁻¹ U along axis j

Source: Fang, Cooley, Long, Li, Kirby, Zhe 2024, arXiv 2311.04465, and the authors' code at
github.com/xuangu-fang/Gaussian-Process-Slover-for-High-Freq-PDE (kernels, jitter, initial values).
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.kronecker import mode_product
from ..ops.toeplitz import even_toeplitz
from .kernels import derivatives

KernelName = Literal["student_t", "gaussian", "matern", "squared_exponential"]
# How kernel matrices are made: from n distances and closed forms, or as published by
# differentiating the kernel automatically at all n² pairs of points. The values are the same.
Assembly = Literal["toeplitz", "pairwise"]


class AxisKernel(nn.Module):
    """The published mixture kernel of one axis.

        student_t               Σ_q w_q M_5/2(a_q z) cos(2π μ_q z),    a_q = √5 exp(log_rate)
        gaussian                Σ_q w_q exp(-b_q z²) cos(2π μ_q z),    b_q = exp(log_rate)
        matern, squared_exponential    the same without the cosine

    Weights are logarithms, so a flat prior on them is Jeffreys'; frequencies are free.

    Args:
        name: which kernel.
        components: Q.
        top_frequency: initial μ_q are spread evenly from 0 to it, cycles per length.
    """

    def __init__(self, name: KernelName, components: int, top_frequency: float):
        super().__init__()
        self.name = name
        zeros = torch.zeros(components, dtype=torch.float64)
        self.log_weights = nn.Parameter(zeros - math.log(components))
        self.log_rates = nn.Parameter(zeros.clone())
        frequencies = torch.linspace(0, 1, components, dtype=torch.float64) * top_frequency
        # The authors' kernels without a cosine keep the array but never read it.
        self.frequencies = nn.Parameter(frequencies) if self._has_waves else None

    @property
    def _has_waves(self) -> bool:
        return self.name in ("student_t", "gaussian")

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Return [k, k', ..., k^(order)] at signed distances in closed form."""
        z, rates = z[..., None], self.log_rates.exp()
        if self.name in ("student_t", "matern"):
            terms = derivatives.matern(z, math.sqrt(5) * rates, 2, order)
        else:
            terms = derivatives.gaussian(z, rates, order)
        if self.frequencies is not None:
            waves = derivatives.cosine(z, self.frequencies, order)
            terms = derivatives.product(terms, waves)
        return [term @ self.log_weights.exp() for term in terms]

    def value(self, z: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
        """Return k(z) as published, in |z| with slope +1 at 0, which makes k''(0) right."""
        r, rates = torch.where(z >= 0, z, -z)[..., None], self.log_rates.exp()
        if self.name in ("student_t", "matern"):
            s = math.sqrt(5) * r * rates
            terms = (1 + s + s**2 / 3) * torch.exp(-s)
        else:
            terms = torch.exp(-(r**2) * rates)
        if self.frequencies is not None:
            terms = terms * torch.cos(2 * math.pi * r * self.frequencies)
        return (self.log_weights.exp() * terms).sum(-1)


class GridPrior(nn.Module):
    """Values on a grid and a kernel per axis.

    Args:
        nodes: uniform positions of each axis.
        name, components, top_frequency: of every axis' kernel.
        jitter: added to the diagonal of each K_j.
        assembly: of the kernel matrices.
    """

    def __init__(
        self,
        nodes: Sequence[Float[Tensor, "_"]],
        *,
        name: KernelName = "student_t",
        components: int = 30,
        top_frequency: float = 20.0,
        jitter: float = 1e-6,
        assembly: Assembly = "toeplitz",
    ):
        super().__init__()
        self.nodes, self.jitter, self.assembly = list(nodes), jitter, assembly
        self.values = nn.Parameter(nodes[0].new_zeros([len(x) for x in nodes]))
        kernels = [AxisKernel(name, components, top_frequency) for _ in nodes]
        self.kernels = nn.ModuleList(kernels).to(nodes[0].device)

    def state(self) -> "PriorState":
        """Return the kernel matrices at the present parameters, each made when it is asked for."""
        return PriorState(self)

    def matrix(self, axis: int, order: int = 0) -> Float[Tensor, "n n"]:
        """Return K_j^(order), without jitter."""
        kernel, x = self.kernels[axis], self.nodes[axis]
        assert isinstance(kernel, AxisKernel)
        if self.assembly == "toeplitz":
            return even_toeplitz(kernel.derivs(x - x[0], order)[order], parity=order)
        return _nested_derivative(kernel.value, x[:, None] - x, order)

    @torch.no_grad()
    def predict(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "*grid"]:
        """Return the posterior mean k(x, X) K⁻¹ U on the tensor product of points."""
        state, found = self.state(), self.values
        for j, x in enumerate(points):
            kernel = self.kernels[j]
            assert isinstance(kernel, AxisKernel)
            cross = kernel.derivs(x[:, None] - self.nodes[j], 0)[0]
            found = mode_product(cross, state.solved(found, j), j - found.ndim)
        return found


class PriorState:
    """What one evaluation of the objective needs of a prior, each matrix made once."""

    def __init__(self, prior: GridPrior):
        self._prior = prior
        self._covariances: dict[int, Tensor] = {}
        self._solved_values: dict[int, Tensor] = {}

    def covariance(self, axis: int) -> Float[Tensor, "n n"]:
        """Return K_j with its jitter."""
        if axis not in self._covariances:
            matrix = self._prior.matrix(axis)
            eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
            self._covariances[axis] = matrix + self._prior.jitter * eye
        return self._covariances[axis]

    def solved(self, field: Float[Tensor, "*grid"], axis: int) -> Float[Tensor, "*grid"]:
        """Return K_j⁻¹ along one axis of a field, by LU as published."""
        columns = field.movedim(axis, 0)
        found = torch.linalg.solve(self.covariance(axis), columns.reshape(len(columns), -1))
        return found.reshape(columns.shape).movedim(0, axis)

    def derivative(self, orders: Sequence[int]) -> Float[Tensor, "*grid"]:
        """Return ∂^orders u on the grid; axes of order 0 are left alone, their factors cancel."""
        field = self._prior.values
        for axis, order in enumerate(orders):
            if order:
                first = field is self._prior.values
                solved = self._solved(axis) if first else self.solved(field, axis)
                matrix = self._prior.matrix(axis, order)
                field = mode_product(matrix, solved.contiguous(), axis - field.ndim)
        return field

    def log_prior(self) -> Float[Tensor, ""]:
        """Return log N(U; 0, K_1 ⊗ ... ⊗ K_d) without its constant."""
        values = self._prior.values
        size = values.numel()
        logdet = sum(
            size / n * torch.linalg.slogdet(self.covariance(j))[1]
            for j, n in enumerate(values.shape)
        )
        # uᵀ K⁻¹ u with the inverses shared between its two sides, so that no axis is solved twice.
        rest = values
        for axis in range(1, values.ndim):
            rest = self._solved(axis) if rest is values else self.solved(rest, axis)
        return -0.5 * logdet - 0.5 * (self._solved(0) * rest).sum()

    def _solved(self, axis: int) -> Tensor:
        if axis not in self._solved_values:
            self._solved_values[axis] = self.solved(self._prior.values, axis)
        return self._solved_values[axis]


def _nested_derivative(
    function: Callable[[Tensor], Tensor], z: Float[Tensor, "n m"], order: int
) -> Float[Tensor, "n m"]:
    """Differentiate a function of one variable at every pair, once inside the other."""
    if not order:
        return function(z)
    z = z.clone().requires_grad_()
    with torch.enable_grad():
        found = function(z)
        for _ in range(order):
            (found,) = torch.autograd.grad(found.sum(), z, create_graph=True)
    return found
