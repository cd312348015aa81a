"""Exponential Runge-Kutta against multi-precision values, exact flows and its order."""

import math

import pytest
import torch

from pdesolve.ops.exponential import exponential_rk4, phi_functions


def phi_by_series(order: int, z: float) -> float:
    """Return φ_order(z) from integers: the series in exact rational arithmetic."""
    from fractions import Fraction

    total, term = Fraction(0), Fraction(1, math.factorial(order))
    for power in range(200):
        total += term
        term = term * Fraction(z) / (power + order + 1)
    return float(total)


@pytest.mark.parametrize("z", [0.0, -1e-9, -1e-3, -0.5, -0.999, -1.0, -1.001, -3.0, -30.0])
def test_phi_functions_have_all_their_digits(z, device):
    values = phi_functions(torch.tensor([z], dtype=torch.float64, device=device))
    for order, value in enumerate(values, start=1):
        assert float(value) == pytest.approx(phi_by_series(order, z), rel=1e-14)


def test_phi_functions_of_complex_numbers_satisfy_their_definition():
    z = torch.polar(
        torch.logspace(-1, 2, 20, dtype=torch.float64), torch.linspace(1.6, 4.6, 20).double()
    )
    phi1, phi2, phi3 = phi_functions(z)
    torch.testing.assert_close(1 + z * (1 + z * (0.5 + z * phi3)), torch.exp(z), rtol=0, atol=1e-10)
    torch.testing.assert_close(1 + z * phi2, phi1, rtol=1e-12, atol=0)


@pytest.mark.parametrize("linear", [torch.tensor([-3.0, 0.0, -1e6]), torch.tensor([2j, -1 - 1j])])
def test_a_linear_equation_is_solved_exactly(linear, device):
    v = torch.tensor([1.0, -2.0, 0.5])[: len(linear)].to(device).to(torch.complex128)
    step = exponential_rk4(linear.to(device), 0.7, like=v)
    expected = torch.exp(0.7 * linear.to(device).to(torch.complex128)) * v
    torch.testing.assert_close(step(v, torch.zeros_like), expected, rtol=1e-14, atol=1e-14)


def test_a_constant_forcing_is_integrated_exactly():
    v = torch.tensor([1.0, 2.0], dtype=torch.float64)
    linear = torch.tensor([-50.0, -0.01], dtype=torch.float64)
    stepped = exponential_rk4(linear, 0.4, like=v)(v, lambda u: torch.full_like(u, 3.0))
    steady = -3 / linear
    expected = steady + (v - steady) * torch.exp(0.4 * linear)
    torch.testing.assert_close(stepped, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("decay", [0.3, 6.0])
def test_a_riccati_equation_is_met_with_fourth_order(decay):
    # v' = -c v + v² has v = c / (1 + (c / v0 - 1) e^{ct}).
    v0, linear = (
        torch.tensor([0.5 * decay], dtype=torch.float64),
        torch.tensor([-decay], dtype=torch.float64),
    )
    exact = decay / (1 + (decay / float(v0) - 1) * math.exp(decay))
    errors = []
    for steps in (8, 16, 32):
        step = exponential_rk4(linear, 1 / steps, like=v0)
        v = v0
        for _ in range(steps):
            v = step(v, lambda u: u**2)
        errors.append(abs(float(v) - exact))
    orders = [math.log2(errors[i] / errors[i + 1]) for i in range(2)]
    assert orders == pytest.approx([4.0, 4.0], abs=0.2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_state_keeps_its_dtype(dtype):
    v = torch.ones(3, dtype=dtype)
    step = exponential_rk4(torch.tensor([-1.0, -2.0, -3.0], dtype=torch.float64), 0.1, like=v)
    assert step(v, lambda u: u**2).dtype == dtype
