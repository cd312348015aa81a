"""Compressed rows against all rows at all nodes."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import neumann
from pdesolve.gp.features import Features
from pdesolve.gp.grid_rows import boundary_rows, equation_rows
from pdesolve.gp.problem import problem_of
from pdesolve.gp.product_basis import ProductBasis

GRID = Grid((9, 8), (1.0, 2.0), False)
BASIS = ProductBasis(
    [Features(torch.arange(3).double() / 2.17, 0.5), Features(torch.arange(2).double() / 3, 1.0)]
)


def source(x, y):
    return torch.exp(x - y) + torch.sin(20 * x * y)


def problem(equation, boundary=None):
    return problem_of(equation, GRID, source=source, boundary=boundary)


def normal_equations(matrix, data):
    whole = torch.cat([matrix, data[:, None]], 1)
    return whole.T @ whole


@pytest.mark.parametrize("kind", ["constant", "varying", "nonlinear"])
def test_few_rows_say_as_much_as_all(kind):
    x, y = GRID.axis(0)[:, None], GRID.axis(1)
    weight = {"constant": 1.0, "varying": 1.0 + x * y, "nonlinear": 1.0}[kind]
    fields = {"a": (lambda x, y: 1 + x * y)} if kind == "varying" else {}

    def equation(d, u, *, source, **given):
        a = d(given["a"], (0, 0)) if given else 1.0
        reaction = d(u, (0, 0)) ** 3 if kind == "nonlinear" else 0.0
        return a * d(u, (2, 0)) + 3 * d(u, (0, 2)) - reaction - d(source, (0, 0))

    posed = problem_of(equation, GRID, source=source, boundary=0.0, fields=fields)
    core = torch.linspace(-1, 1, 15).double() if kind == "nonlinear" else None
    values = torch.linspace(0, 1, 72).double().reshape(9, 8)
    found = equation_rows(posed, BASIS, 0.5, core, values)
    nodes = [GRID.axis(0), GRID.axis(1)]
    weights = (weight + torch.zeros(9, 8)).double().reshape(-1, 1)
    rows = weights * BASIS(nodes, (2, 0)) + 3 * BASIS(nodes, (0, 2))
    data = (source(x, y) + values).flatten()
    if core is not None:
        u = BASIS(nodes) @ core
        rows = rows - 3 * u[:, None] ** 2 * BASIS(nodes)
        data = data - 2 * u**3
    truth, mine = normal_equations(rows, data), normal_equations(found.matrix, found.data)
    mine[-1, -1] += found.unreached.size**2
    torch.testing.assert_close(mine, truth, rtol=1e-9, atol=1e-9 * float(truth.abs().max()))
    assert len(found.data) + found.unreached.count == 72
    assert len(found.data) <= 15


def test_boundary_rows_are_the_conditions_on_the_faces():
    def edge(x, y):
        return x + 2 * y

    boundary = {
        (0, "low"): neumann(edge), (0, "high"): neumann(0.0),
        (1, "low"): [], (1, "high"): [],
    }  # fmt: skip
    posed = problem_of(
        lambda d, u: d(u, (2, 0)) - d(u, (0, 0)), GRID, source=source, boundary=boundary
    )
    found = boundary_rows(posed, BASIS, 1e-3)
    y = GRID.axis(1)
    rows = -BASIS([torch.zeros(1).double(), y], (1, 0))
    other = BASIS([torch.ones(1).double(), y], (1, 0))
    truth = rows.T @ rows + other.T @ other
    torch.testing.assert_close(found.matrix.T @ found.matrix, truth)
    torch.testing.assert_close(found.matrix.T @ found.data, rows.T @ edge(0.0, y))
    # The noise of a slope is that of a value times the highest angular frequency.
    top = 2 * torch.pi * 2 / 2.17
    torch.testing.assert_close(found.noise, torch.full_like(found.noise, 1e-3 * top))
