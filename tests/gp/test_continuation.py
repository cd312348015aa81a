"""Problems that Newton's iteration does not solve from zero, and paths that do not arrive."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import solve
from pdesolve.gp.continuation import continued
from pdesolve.gp.kronecker_form import KroneckerForm
from pdesolve.gp.manufactured import Manufactured, error
from pdesolve.gp.nonlinear import solve_newton
from pdesolve.gp.one_dimension import Solver, solve_one_dimension
from pdesolve.gp.priors import band_priors
from pdesolve.gp.problem import problem_of
from pdesolve.gp.tensor_basis import OrthonormalBasis


def problem(given):
    return problem_of(given.residual, given.grid, source=given.source, boundary=given.boundary)


def test_steps_shrink_before_a_barrier_and_the_path_ends_there():
    tried = []

    def solve(share, start):
        tried.append(share)
        return start + share, share < 0.6

    assert continued(solve, torch.zeros(1)) is None
    assert tried[:4] == [0.25, 0.75, 0.5, 1.0]
    assert abs(tried[-1] - 0.6) < 0.05


def test_each_step_begins_where_the_last_one_ended():
    found = continued(lambda share, start: (start + 1, True), torch.zeros(1))
    assert found is not None and found.item() == 3  # at 0.25, 0.75 and 1


def test_a_stiff_reaction_is_reached_by_continuation():
    given = Manufactured("u_xx - exp(4*u)", "1.5*sin(5*x)", [70])
    own = problem(given)
    solver = Solver(own, band_priors(own, own.axes[0])[0])
    assert not solver(1e-14).contracted
    best, tried = solve_one_dimension(own)
    assert any("continued" in attempt.name for attempt in tried)
    assert error(best.expansion, given.exact, given.grid) < 1e-7


def test_a_stiff_reaction_in_two_dimensions():
    given = Manufactured("u_xx + u_yy - exp(4*u)", "1.5*sin(5*x)*cos(3*y)", [32, 30], axes="xy")
    own = problem(given)
    bases = [OrthonormalBasis.of(a.features(((0.0, 4.0),)), a) for a in own.axes]
    whole = KroneckerForm(own, bases, ["galerkin"] * 2)

    def loaded(load, start):
        outcome = solve_newton(KroneckerForm(own, bases, ["galerkin"] * 2, load=load), start)
        return outcome.free, outcome.contracted

    free = continued(loaded, whole.start())
    assert free is not None
    assert error(whole.expansion(whole.core(free)), given.exact, given.grid) < 1e-5


@pytest.mark.slow
def test_a_problem_without_a_solution_is_not_called_solved():
    # u'' + e^(λu) with u = 0 at both ends has none for λ > 3.51; the largest residual tells.
    solution = solve(
        lambda d, u: d(u, (2,)) + 4 * torch.exp(d(u, (0,))), Grid((40,), 1.0, False),
        raise_on_failure=False,
    )  # fmt: skip
    assert not bool(solution.converged)
    assert "iteration does not converge" in solution.message


def test_without_load_the_solution_is_zero_and_half_of_it_is_half_of_a_linear_one():
    given = Manufactured("u_xx + u_yy", "sin(5*x)*cos(3*y) + 1", [30, 30], axes="xy")
    own = problem(given)
    bases = [OrthonormalBasis.of(a.features(((0.0, 4.0),)), a) for a in own.axes]
    spaces = ["galerkin"] * 2
    cores = [
        solve_newton(KroneckerForm(own, bases, spaces, load=load)).core for load in (0.0, 0.5, 1.0)
    ]
    assert float(cores[0].abs().max()) == 0
    torch.testing.assert_close(2 * cores[1], cores[2], rtol=0, atol=1e-8)
