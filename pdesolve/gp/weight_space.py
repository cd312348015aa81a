"""A one-dimensional problem as least squares for the coefficients of the features.

Rows are the equation at every node and the boundary conditions; the unknowns are the
coefficients c ~ N(0, I) of the prior. The minimum-norm solution with small singular values cut off
is the posterior mean, without the square of the condition number that a kernel matrix brings.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .spectrum import svd

# Singular values below this share of the largest are rounding.
SHARPEST = 1e-14
_STEPS, _SMALLEST_DAMPING = 12, 1 / 64
_DONE, _STAGNATING = 1e-12, 1e-9


@dataclass(frozen=True, eq=False)
class Rows:
    """Least squares rows, factorised: A = U diag(S) Vᵀ."""

    left: Float[Tensor, "n r"]
    sizes: Float[Tensor, " r"]
    right: Float[Tensor, "r m"]

    @classmethod
    def factorised(cls, matrix: Float[Tensor, "n m"]) -> "Rows":
        """Return the factors of a matrix."""
        return cls(*svd(matrix))

    def solve(self, data: Float[Tensor, " n"], cutoff: float = SHARPEST) -> Float[Tensor, " m"]:
        """Return the minimum-norm least squares solution, singular values below cutoff cut off."""
        kept = self.sizes > cutoff * self.sizes[0]
        return self.right[kept].T @ ((self.left[:, kept].T @ data) / self.sizes[kept])


@dataclass(frozen=True, eq=False)
class Collocation:
    """The rows of one problem with one set of features.

    Args:
        derivatives: (k, n, m), the derivatives that the residual reads of every feature at the
            nodes.
        conditions: (b, m), boundary rows of the features.
        values: (b,), what the conditions demand.
        residual: derivatives of u at the nodes (k, n) to the residual (n,).
        linearised: the same to its coefficients (k, n).
    """

    derivatives: Float[Tensor, "k n m"]
    conditions: Float[Tensor, "b m"]
    values: Float[Tensor, " b"]
    residual: Callable[[Tensor], Tensor]
    linearised: Callable[[Tensor], Tensor]

    def system(self, coefficients: Float[Tensor, " m"]) -> tuple[Tensor, Tensor]:
        """Return the scaled rows of the linearisation at c, and minus their residual there.

        A row of the equation is divided by the mean size of all; the boundary rows together weigh
        like as many rows of the equation as there are nodes.
        """
        jet = self.derivatives @ coefficients
        rows = torch.einsum("kn,knm->nm", self.linearised(jet), self.derivatives)
        scale = rows.norm() / len(rows) ** 0.5
        sizes = self.conditions.norm(dim=1, keepdim=True)
        weight = len(rows) ** 0.5 / sizes.clamp_min(1e-300)
        matrix = torch.cat([rows / scale, weight * self.conditions])
        misfit = self.values - self.conditions @ coefficients
        return matrix, torch.cat([-self.residual(jet) / scale, weight[:, 0] * misfit])


def solve_linear(problem: Collocation) -> Callable[[float], Tensor]:
    """Return the map from a cutoff to the solution; the rows are factorised once."""
    start = problem.derivatives.new_zeros(problem.derivatives.shape[2])
    matrix, data = problem.system(start)
    rows = Rows.factorised(matrix)
    return lambda cutoff: rows.solve(data, cutoff)


def solve_nonlinear(problem: Collocation, cutoff: float, start: Tensor | None = None) -> Tensor:
    """Return the solution by Gauss-Newton from zero or from `start`.

    The first step is whole; later ones are halved until the residual does not grow.
    """
    c = problem.derivatives.new_zeros(problem.derivatives.shape[2]) if start is None else start
    matrix, data = problem.system(c)
    last_change = float("inf")
    for iteration in range(_STEPS):
        # The whole solution is sought, not the step, so that the cut-off acts on it.
        whole = Rows.factorised(matrix).solve(data + matrix @ c, cutoff)
        step, damping = whole - c, 1.0
        while True:
            trial = c + damping * step
            trial_matrix, trial_data = problem.system(trial)
            small_enough = float(trial_data.norm()) <= 1.0001 * float(data.norm())
            if iteration == 0 or small_enough or damping <= _SMALLEST_DAMPING:
                break
            damping /= 2
        c, matrix, data = trial, trial_matrix, trial_data
        change = float(step.norm()) / max(float(c.norm()), 1e-300)
        if change < _DONE or (change < _STAGNATING and change > 0.5 * last_change):
            break
        last_change = change
    return c
