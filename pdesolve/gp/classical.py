"""Chebyshev collocation and finite differences on as many nodes, the rivals of every figure."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .expansion import Basis, Expansion
from .kronecker_form import KroneckerForm
from .nonlinear import solve_newton, solve_separable
from .one_dimension import collocation
from .problem import Problem
from .tensor_basis import TestSpace, kept_nodes

_STEPS, _DONE = 20, 1e-12
# Steps of a linear problem: the later ones take back rounding of the first.
_REFINED = 3


@dataclass(frozen=True, eq=False)
class Chebyshev:
    """Chebyshev polynomials T_0 ... T_(n-1) on [0, length]."""

    count: int
    length: float

    @property
    def top(self) -> float:
        """Angular frequency that two points per wavelength would have."""
        return math.pi * self.count / self.length

    @property
    def rank(self) -> int:
        """Number of functions."""
        return self.count

    def __call__(self, x: Float[Tensor, " m"], order: int = 0) -> Float[Tensor, "m n"]:
        """Return the order-th derivative of every polynomial at x."""
        from numpy.polynomial import chebyshev

        values = chebyshev.chebvander(2 * x.cpu().numpy() / self.length - 1, self.count - 1)
        change = np.eye(self.count)
        for _ in range(order):
            change = np.vstack([chebyshev.chebder(change, axis=0), np.zeros((1, self.count))])
        return torch.from_numpy(values @ change * (2 / self.length) ** order).to(x.device)

    def nodes(self) -> Float[Tensor, " n"]:
        """Return the extrema of the last polynomial, from 0 to the length."""
        angles = torch.arange(self.count, dtype=torch.float64) * (math.pi / (self.count - 1))
        return self.length * (1 - torch.cos(angles)) / 2


@dataclass(frozen=True, eq=False)
class Differences:
    """Values on uniform nodes, their derivatives by second-order differences.

    Between the nodes by the cubic through four of them.
    """

    count: int
    length: float

    @property
    def top(self) -> float:
        """Angular frequency that two points per wavelength would have."""
        return math.pi * self.count / self.length

    @property
    def rank(self) -> int:
        """Number of functions."""
        return self.count

    def nodes(self) -> Float[Tensor, " n"]:
        """Return the uniform nodes."""
        return torch.linspace(0, self.length, self.count, dtype=torch.float64)

    def __call__(self, x: Float[Tensor, " m"], order: int = 0) -> Float[Tensor, "m n"]:
        """Return the weights of the nodes in the order-th derivative at x."""
        step = self.length / (self.count - 1)
        position = (x.cpu().numpy() / step).clip(0, self.count - 1)
        centred = np.abs(position - np.round(position)) < 1e-9
        matrix = np.zeros((len(position), self.count))
        for row, (where, at_node) in enumerate(zip(position, centred, strict=True)):
            # On a node an odd number of points is centred, and then one of them fewer will do.
            points = (order + 1 + order % 2 if at_node else max(order + 2, 4)) if order else 4
            first = round(where) - points // 2 if at_node else math.floor(where) - points // 2 + 1
            inside = min(max(first, 0), self.count - points)
            if inside != first and at_node and order:
                points = order + 2
                inside = min(max(round(where) - points // 2, 0), self.count - points)
            offsets = np.arange(inside, inside + points) - where
            matrix[row, inside : inside + points] = _weights(offsets, order) / step**order
        return torch.from_numpy(matrix).to(x.device)


def _weights(offsets: np.ndarray, order: int) -> np.ndarray:
    """Return finite difference weights of one derivative at 0, from the moment conditions."""
    powers = np.arange(len(offsets))
    moments = np.zeros(len(offsets))
    moments[order] = math.factorial(order)
    return np.linalg.solve(offsets[None] ** powers[:, None], moments)


def solve_classical(problem: Problem, kind: type[Chebyshev] | type[Differences]) -> Expansion:
    """Return the collocation solution of a problem on as many nodes as it has.

    The equation holds on the nodes but for as many of them as there are conditions, nearest to
    where the conditions are. In two and three dimensions by the same Kronecker sums as the
    Gaussian process, with another basis.

    Raises:
        ValueError: an axis is periodic, which these bases are not.
    """
    if any(axis.periodic for axis in problem.axes):
        raise ValueError("an axis is periodic, expected walls: use a Fourier series there")
    bases = [kind(len(axis.nodes), axis.length) for axis in problem.axes]
    axes = [Axis(b.nodes().to(problem.device), b.length, False) for b in bases]
    moved = Problem(problem.jet, problem.grid, axes, problem.fields, problem.functionals)
    if len(axes) == 1:
        return Expansion(bases, _dense(moved, bases[0]))
    spaces: list[TestSpace] = ["collocation"] * len(axes)
    form = KroneckerForm(moved, bases, spaces)
    mixed = any(sum(n > 0 for n in orders) > 1 for orders in problem.jet.orders)
    separable = problem.constant and not mixed
    return form.expansion((solve_separable(form) if separable else solve_newton(form)).core)


def _dense(problem: Problem, basis: Basis) -> Tensor:
    """Solve in one dimension by Newton's iteration with full matrices."""
    rows, axis = collocation(problem, basis), problem.axes[0]
    conditions = len(axis.nodes) + torch.arange(len(rows.values), device=problem.device)
    chosen = torch.cat([kept_nodes(problem.functionals, axis), conditions])
    coefficients = rows.derivatives.new_zeros(rows.derivatives.shape[2])
    for _ in range(_REFINED if problem.linear else _STEPS):
        matrix, data = rows.system(coefficients)
        step = torch.linalg.solve(matrix[chosen], data[chosen])
        coefficients = coefficients + step
        if float(step.norm()) <= _DONE * float(coefficients.norm()):
            break
    return coefficients
