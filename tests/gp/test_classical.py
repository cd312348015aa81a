"""The rivals against their orders of convergence."""

import math

import pytest
import torch

from pdesolve.gp.classical import Chebyshev, Differences, solve_classical
from pdesolve.gp.manufactured import Manufactured, error
from pdesolve.gp.problem import problem_of


def found_error(given, kind):
    problem = problem_of(given.residual, given.grid, source=given.source, boundary=given.boundary)
    return error(solve_classical(problem, kind), given.exact, given.grid, points=50)


PROBLEMS = [
    ("u_xx", "sin(9*x) + x**2", "x", "dirichlet"),
    ("u_xx + u*(u**2 - 1)", "sin(4*x)", "x", "dirichlet"),
    ("u_xxxx", "sin(5*x)", "x", "clamped"),
    ("u_xx + u_yy", "sin(5*x)*cos(4*y)", "xy", "dirichlet"),
    ("u_t - 0.1*u_xx", "exp(-t)*sin(5*x)", "tx", ["initial", "dirichlet"]),
]


@pytest.mark.parametrize(("text", "solution", "axes", "conditions"), PROBLEMS)
def test_chebyshev_collocation_is_exact_for_analytic_solutions(text, solution, axes, conditions):
    given = Manufactured(text, solution, [28] * len(axes), axes=axes, conditions=conditions)
    assert found_error(given, Chebyshev) < 1e-9


@pytest.mark.parametrize(("text", "solution", "axes", "conditions"), PROBLEMS)
def test_differences_are_of_second_order(text, solution, axes, conditions):
    errors = [
        found_error(Manufactured(text, solution, [n] * len(axes), axes=axes, conditions=conditions),
                    Differences)
        for n in (33, 65)
    ]  # fmt: skip
    assert 1.7 < math.log2(errors[0] / errors[1]) < 2.6


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_of_cubics_by_differences_anywhere(order):
    basis = Differences(12, 1.1)
    x = torch.tensor([0.0, 0.03, 0.5, 1.1], dtype=torch.float64)
    powers = {0: x**3, 1: 3 * x**2, 2: 6 * x, 3: torch.full_like(x, 6.0)}
    found = basis(x, order) @ basis.nodes() ** 3
    # A first derivative on a node is of second order only, with error h² u'''/6 or /3.
    slack = 6 / 3 * (1.1 / 11) ** 2 if order == 1 else 1e-9
    torch.testing.assert_close(found, powers[order], rtol=0, atol=slack)


def test_a_periodic_axis_has_no_chebyshev_solution():
    given = Manufactured("u_xx", "sin(2*pi*x)", [20], conditions="periodic")
    with pytest.raises(ValueError, match="axis is periodic"):
        found_error(given, Chebyshev)
