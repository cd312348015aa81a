"""Problems from formulas against hand computation."""

import math

import pytest
import torch

from pdesolve.gp.manufactured import Manufactured, TextEquation, error
from pdesolve.pde import AllenCahn


def test_the_source_is_what_the_equation_makes_of_the_solution():
    x, y = torch.tensor([0.3, 0.8]).double(), torch.tensor([0.1, 0.5]).double()
    u = torch.sin(3 * x) * torch.cos(2 * y)
    law = AllenCahn(dims=2, diffusivity=1.0, reaction=-1.0)
    for equation, method, sign in (
        (law, "steady_residual", -1), ("u_xx + u_yy + u*(u**2 - 1)", "residual", 1),
    ):  # fmt: skip
        given = Manufactured(equation, "sin(3*x)*cos(2*y)", [9, 9], axes="xy", method=method)
        truth = -13 * u + u * (u**2 - 1)
        torch.testing.assert_close(sign * given.source(x, y), truth)


def test_text_names_derivatives_by_the_letters_of_the_axes():
    asked = {}

    def d(u, orders):
        asked[orders] = None
        return torch.tensor(2.0)

    value = TextEquation("u_tt - 4*u_xx + u_tx*u", "tx").residual(d, "u")
    assert float(value) == 2 - 8 + 4
    assert set(asked) == {(2, 0), (0, 2), (1, 1), (0, 0)}


def test_lengths_and_conditions():
    given = Manufactured("u_t - u_xx", "exp(-t)*sin(x)", [10, 12], [2, "2*pi"], axes="tx",
                         conditions=["initial", "neumann"])  # fmt: skip
    assert given.grid.lengths == (2.0, 2 * math.pi)
    assert set(given.boundary) == {(0, "low"), (1, "low"), (1, "high")}
    (slope,) = given.boundary[1, "low"]
    t = torch.tensor([0.4]).double()
    assert dict(slope.terms) == {1: 1.0}
    torch.testing.assert_close(slope.value(t, torch.zeros(1).double()), torch.exp(-t))


def test_a_zero_source_is_zero_to_the_last_digit():
    given = Manufactured("u_xx + u", "sin(x)", [9], homogeneous=True)
    assert torch.equal(given.source(torch.linspace(0, 1, 5)), torch.zeros(5))


def test_the_error_is_relative_and_includes_the_ends():
    given = Manufactured("u_xx", "2 + 0*x", [9])
    assert error(lambda points: 2.02 * torch.ones(len(points[0])), given.exact, given.grid) == (
        pytest.approx(0.01)
    )


def test_conditions_of_another_name_are_refused():
    with pytest.raises(ValueError, match="conditions among dirichlet"):
        Manufactured("u_xx", "x", [9], conditions="dirichlets")
