"""A one-dimensional problem as least squares for the coefficients of the features.

Rows are the equation at every node and the boundary conditions; the unknowns are the
coefficients c ~ N(0, I) of the prior. The minimum-norm solution with small singular values cut off
is the posterior mean, without the square of the condition number that a kernel matrix brings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .spectrum import svd

# Singular values below this share of the largest are rounding.
SHARPEST = 1e-14
_STEPS, _SMALLEST_DAMPING = 25, 1 / 64
_DONE = 1e-12
# A step below this share of the solution's rows belongs to an iteration that has arrived.
_SETTLED = 1e-7
# Larger residuals overflow in the next factorisation; a step that makes them is cut further.
_NUMBER, _HOPELESS_DAMPING = 1e100, 1e-12


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

    def loaded(self, share: float) -> "Collocation":
        """Return the problem with a share of its source and boundary data, see `continuation`."""
        start = self.residual(torch.zeros_like(self.derivatives[:, :, 0]))
        return replace(
            self,
            values=share * self.values,
            residual=lambda jet: self.residual(jet) - (1 - share) * start,
        )

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


def solve_nonlinear(
    problem: Collocation, cutoff: float, start: Tensor | None = None
) -> tuple[Tensor, bool]:
    """Return the solution by Gauss-Newton from zero or from `start`, and whether it has settled.

    The first step from zero is whole if its residual is a number at all, since zero may lie far
    from the boundary data; others are halved until the residual does not grow.
    """
    c = problem.derivatives.new_zeros(problem.derivatives.shape[2]) if start is None else start
    matrix, data = problem.system(c)
    settled, last_change = False, float("inf")
    for iteration in range(_STEPS):
        # The whole solution is sought, not the step, so that the cut-off acts on it.
        whole = Rows.factorised(matrix).solve(data + matrix @ c, cutoff)
        step, damping = whole - c, 1.0
        allowed = 1.0001 * float(data.norm()) if iteration or start is not None else _NUMBER
        while True:
            trial = c + damping * step
            trial_matrix, trial_data = problem.system(trial)
            size = float(trial_data.norm() + trial_matrix.norm())
            if float(trial_data.norm()) <= allowed and size < _NUMBER:
                break
            if damping <= (_SMALLEST_DAMPING if size < _NUMBER else _HOPELESS_DAMPING):
                break
            damping /= 2
        if not size < _NUMBER:
            return c, False
        # Coefficients that no row determines may go on changing: then the rows tell.
        settled = float((matrix @ step).norm()) < _SETTLED * float((matrix @ trial).norm())
        c, matrix, data = trial, trial_matrix, trial_data
        change = float(step.norm()) / max(float(c.norm()), 1e-300)
        if change < _DONE or (settled and change > 0.5 * last_change):
            break
        stuck = damping <= _SMALLEST_DAMPING and float(data.norm()) > allowed
        if stuck:
            break
        last_change = change
    return c, settled
