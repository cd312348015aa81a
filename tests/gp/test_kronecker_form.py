"""The Kronecker system against dense algebra."""

import numpy as np
import pytest
import torch

from pdesolve.gp.kronecker_form import KroneckerForm
from pdesolve.gp.manufactured import Manufactured
from pdesolve.gp.nonlinear import solve_newton, solve_separable
from pdesolve.gp.problem import problem_of
from pdesolve.gp.tensor_basis import OrthonormalBasis, automatic_test_spaces, kept_nodes


def form_of(text="u_xx + 2*u_yy - 3*u", solution="sin(5*x + 1)*cos(4*y)", conditions="dirichlet"):
    given = Manufactured(text, solution, [26, 31], [1.0, 1.4], axes="xy", conditions=conditions)
    problem = problem_of(given.residual, given.grid, source=given.source, boundary=given.boundary)
    bases = [OrthonormalBasis.of(a.features(((0.0, 4.5),)), a) for a in problem.axes]
    spaces = automatic_test_spaces(problem.functionals, 2)
    return given, KroneckerForm(problem, bases, spaces)


def test_the_basis_is_orthonormal_on_the_interval():
    _, form = form_of()
    basis, axis = form.forms[0].basis, form.forms[0].axis
    nodes, weights = np.polynomial.legendre.leggauss(80)
    x = axis.length * (torch.from_numpy(nodes) + 1) / 2
    q = basis(x)
    gram = q.T @ (torch.from_numpy(weights)[:, None] * axis.length / 2 * q)
    main = gram[:10, :10]
    torch.testing.assert_close(main, torch.eye(10).double(), rtol=0, atol=0.1)


@pytest.mark.parametrize("conditions", ["dirichlet", ["cauchy", "dirichlet"]])
def test_lifted_coefficients_carry_all_boundary_data(conditions):
    given, form = form_of(conditions=conditions)
    expansion = form.expansion(form.lifted)
    y = torch.linspace(0, 1.4, 9, dtype=torch.float64)
    at = [torch.zeros(1).double(), y]
    truth = given.exact(torch.zeros(1, 1).double(), y[None])
    torch.testing.assert_close(expansion(at), truth, rtol=0, atol=1e-7)
    if conditions != "dirichlet":
        slope = given.exact.derivative((1, 0))(torch.zeros(1, 1).double(), y[None])
        torch.testing.assert_close(expansion(at, (1, 0)), slope, rtol=0, atol=1e-5)


def test_the_separable_solve_inverts_the_tested_operator():
    _, form = form_of()
    operator, shift = form.separable(form.problem.symbol)
    free = torch.randn(form.start().shape, generator=torch.Generator().manual_seed(0)).double()
    zero = form.residual(form.lifted)
    image = form.residual(form.core(free)) - zero
    torch.testing.assert_close(
        form.precondition(image, operator, shift), free, rtol=1e-6, atol=1e-6
    )


def test_the_linearisation_is_the_difference_quotient():
    _, form = form_of("u_xx + u_yy + u*(u**2 - 1)")
    generator = torch.Generator().manual_seed(0)
    point, step = (torch.randn(form.start().shape, generator=generator).double() for _ in "ab")
    applied = form.linearised_at(form.core(point)).apply(step)
    h = 1e-5
    quotient = (
        form.residual(form.core(point + h * step)) - form.residual(form.core(point - h * step))
    ) / (2 * h)
    torch.testing.assert_close(applied, quotient, rtol=1e-6, atol=1e-5)


def test_newton_and_the_direct_solve_agree_on_a_linear_problem():
    _, form = form_of()
    direct, iterated = solve_separable(form), solve_newton(form)
    x = [a.midpoints for a in form.problem.axes]
    torch.testing.assert_close(
        form.expansion(direct.core)(x), form.expansion(iterated.core)(x), rtol=0, atol=1e-7
    )


def test_collocation_keeps_as_many_nodes_as_unknowns():
    given, form = form_of(conditions=["cauchy", "dirichlet"])
    axis = form.problem.axes[0]
    assert kept_nodes(form.forms[0].functionals, axis).tolist() == list(range(2, 26))
    assert kept_nodes(form.forms[1].functionals, form.problem.axes[1]).tolist() == list(
        range(1, 30)
    )
    del given
