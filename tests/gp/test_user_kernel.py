import math

import gpytorch
import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import solve
from pdesolve.gp.kernels import Comb, Matern, SquaredExponential
from pdesolve.gp.problem import problem_of
from pdesolve.gp.user_kernel import above_nyquist, solve_with_kernel


def exact(x):
    return torch.sin(9 * x) + x**2 / 5


def on_line(points):
    grid = Grid((points,), 2.0, False)
    return problem_of(
        lambda d, u: d(u, (2,)),
        grid,
        source=lambda x: -81 * torch.sin(9 * x) + 0.4,
        boundary=exact,
    )


def error_of(attempt):
    x = torch.linspace(0, 2, 101, dtype=torch.float64)
    return float((attempt.expansion([x]) - exact(x)).norm() / exact(x).norm())


def test_matern_in_one_dimension_converges_as_its_smoothness_lets_it():
    """Interpolation by its own posterior: order 2ν - 1 - 2 of the second derivative, 6 for 9/2."""
    errors = [error_of(solve_with_kernel(on_line(n), Matern(4.5, 1.0))[0]) for n in (41, 81)]
    assert math.log2(errors[0] / errors[1]) > 4.5
    assert errors[1] < 2e-6


@pytest.mark.parametrize("kernel", [SquaredExponential(0.4), gpytorch.kernels.RBFKernel()])
def test_smooth_kernels_solve_smooth_problems_to_rounding(kernel):
    best, _, accuracy = solve_with_kernel(on_line(60), kernel)
    assert error_of(best) < 1e-11
    assert accuracy < 1e-13


def test_a_kernel_for_each_axis():
    def product(x, y):
        return torch.sin(4 * x) * torch.cos(3 * y)

    problem = problem_of(
        lambda d, u: d(u, (2, 0)) + d(u, (0, 2)),
        Grid((24, 31), (1.0, 1.5), False),
        source=lambda x, y: -25 * product(x, y),
        boundary=product,
    )
    best, tried, accuracy = solve_with_kernel(problem, [SquaredExponential(0.4), Matern(4.5, 1.0)])
    x, y = torch.linspace(0, 1, 17).double(), torch.linspace(0, 1.5, 19).double()
    truth = product(x[:, None], y)
    assert float((best.expansion([x, y]) - truth).norm() / truth.norm()) < 1e-4
    assert tried == [best]
    assert 1e-14 < accuracy < 1e-8


def test_one_kernel_too_many_is_refused():
    with pytest.raises(ValueError, match="kernel has 2 entries on a grid of 1 axes"):
        solve_with_kernel(on_line(12), [Matern(), Matern()])


def test_waves_above_nyquist_are_told_and_how_many_points_they_need():
    # 21 points on a length of 2: Nyquist's frequency is 5.
    comb = Comb([0.3, 12.0])
    assert above_nyquist(on_line(21), Comb([0.3, 4.9])) == ""
    assert above_nyquist(on_line(21), Matern(lengthscale=0.1)) == ""
    assert "up to 12, more than the Nyquist frequency 5 of" in above_nyquist(on_line(21), comb)
    # 0.9 of Nyquist's frequency (points - 1) / 4 must be 12.
    told = above_nyquist(on_line(21), gpytorch.kernels.ScaleKernel(comb))
    assert "refine the axis to 55 points" in told
    with pytest.warns(UserWarning, match="Nyquist frequency 5 of its nodes"):
        problem = on_line(21)
        solve(
            lambda d, u: d(u, (2,)), problem.grid, source=1.0, boundary=0.0,
            kernel=comb, raise_on_failure=False,
        )  # fmt: skip
