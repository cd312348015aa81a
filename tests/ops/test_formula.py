"""Formulas against torch, and their derivatives against automatic ones."""

import pytest
import torch

from pdesolve.ops.formula import Formula

TEXTS = [
    "sin(6*x)*cos(100*y)", "x**3 - 2*x/y + 1", "exp(-x**2)*tanh(y)", "sqrt(x)*log(y)",
    "1/(1 + 25*(x - 0.2)^2)", "4*atan(exp((x - 0.4*y)/sqrt(0.84)))", "abs(x - 2)**3 + pi",
    "sinh(x)/cosh(y) + tan(x*y)", "-x + e*y", "2",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (0, 2), (2, 1)])
def test_derivatives_are_those_of_automatic_differentiation(text, orders):
    x = (0.2 + torch.rand(6, generator=torch.Generator().manual_seed(0))).double()
    y = (0.3 + torch.rand(6, generator=torch.Generator().manual_seed(1))).double()
    found = Formula(text, "xy").derivative(orders)(x, y)

    def slope(function, axis):
        tangents = lambda *v: tuple(torch.full_like(w, float(i == axis)) for i, w in enumerate(v))  # noqa: E731
        return lambda *v: torch.func.jvp(function, v, tangents(*v))[1]

    function = Formula(text, "xy")
    for axis, order in enumerate(orders):
        for _ in range(order):
            function = slope(function, axis)
    torch.testing.assert_close(found, function(x, y), rtol=1e-10, atol=1e-10)


def test_the_value_is_that_of_torch():
    x, y = torch.tensor([0.3]).double(), torch.tensor([0.7, 0.9]).double()
    truth = torch.sin(6 * x) * torch.exp(-y) / 3
    torch.testing.assert_close(Formula("sin(6*x)*exp(-y)/3", "xy")(x, y), truth)


def test_constants_are_in_double_precision():
    assert float(Formula("2*pi", "")()) == 2 * torch.pi


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sin(x", "is no formula"),
        ("z + 1", "'z' in the formula"),
        ("__import__('os')", "neither a number"),
        ("x.real", "neither a number"),
        ("x**x", "exponent that is no number"),
        ("sin(x, x)", "neither a number"),
        ("[x]", "neither a number"),
    ],
)
def test_text_that_is_no_formula_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Formula(text, "x")
