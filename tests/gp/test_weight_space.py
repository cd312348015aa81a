"""Least squares in weight space against dense formulas."""

import torch

from pdesolve.gp.weight_space import Collocation, Rows, solve_linear, solve_nonlinear

GENERATOR = torch.Generator().manual_seed(0)


def test_the_minimum_norm_solution_of_wide_rows():
    matrix = torch.randn(4, 9, generator=GENERATOR, dtype=torch.float64)
    data = torch.randn(4, generator=GENERATOR, dtype=torch.float64)
    truth = torch.linalg.pinv(matrix) @ data
    torch.testing.assert_close(Rows.factorised(matrix).solve(data), truth)


def test_small_singular_values_are_cut_off():
    rows = Rows.factorised(torch.diag(torch.tensor([1.0, 1e-6]).double()))
    data = torch.ones(2).double()
    assert rows.solve(data, 1e-4).tolist() == [1.0, 0.0]
    torch.testing.assert_close(rows.solve(data, 1e-8), torch.tensor([1.0, 1e6]).double())


def quadratic():
    # c² = 4 at one node, and the condition c = 2.
    return Collocation(
        torch.ones(1, 1, 1).double(), torch.ones(1, 1).double(), torch.tensor([2.0]).double(),
        lambda jet: jet[0] ** 2 - 4, lambda jet: 2 * jet,
    )  # fmt: skip


def test_gauss_newton_reaches_a_root_from_a_start():
    found, settled = solve_nonlinear(quadratic(), 1e-14, torch.tensor([5.0]).double())
    torch.testing.assert_close(found, torch.tensor([2.0]).double())
    assert settled


def test_linear_rows_are_solved_for_every_cutoff_at_once():
    matrix = torch.randn(1, 5, 3, generator=GENERATOR, dtype=torch.float64)
    truth = torch.tensor([1.0, -2.0, 0.5]).double()
    problem = Collocation(
        matrix, torch.eye(3).double()[:1], truth[:1], lambda jet: jet[0] - matrix[0] @ truth,
        torch.ones_like,
    )  # fmt: skip
    torch.testing.assert_close(solve_linear(problem)(1e-14), truth)
