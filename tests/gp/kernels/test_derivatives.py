import math

import pytest
import torch

from pdesolve.gp.kernels import derivatives

ZERO = torch.zeros(1, dtype=torch.float64)


def at_zero(values):
    return [float(value) for value in values]


def test_gaussian_derivatives_at_zero_are_its_taylor_coefficients():
    found = at_zero(derivatives.gaussian(ZERO, 0.7, 8))
    # exp(-b z²) = Σ (-b)^m z^(2m) / m!
    expected = [
        (-0.7) ** (n // 2) * math.factorial(n) / math.factorial(n // 2) if n % 2 == 0 else 0.0
        for n in range(9)
    ]
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 5])
def test_matern_derivatives_at_zero_are_moments_of_its_spectrum(degree):
    """k^(2m)(0) = (-1)^m E[ω^2m] under the Student-t density of 2ν degrees of freedom."""
    nu, rate = degree + 0.5, 1.3
    found = at_zero(derivatives.matern(ZERO, rate, degree, 2 * degree))
    for order, value in enumerate(found):
        m = order // 2
        # Moments of ω = rate T/√(2ν): Γ(m + 1/2) Γ(ν - m) / (Γ(1/2) Γ(ν)) rate^(2m).
        moment = math.gamma(m + 0.5) * math.gamma(nu - m) / (math.gamma(0.5) * math.gamma(nu))
        expected = 0.0 if order % 2 else (-1) ** m * moment * rate**order
        assert value == pytest.approx(expected, rel=1e-13, abs=0)


def test_matern_five_halves_is_the_published_polynomial():
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    a, r = 1.7, z.abs()
    decay = torch.exp(-a * r)
    expected = [
        (1 + a * r + a**2 * r**2 / 3) * decay,
        -(a**2) / 3 * z * (1 + a * r) * decay,
        -(a**2) / 3 * (1 + a * r - a**2 * r**2) * decay,
        a**4 / 3 * z * (3 - a * r) * decay,
        a**4 / 3 * (3 - 5 * a * r + a**2 * r**2) * decay,
    ]
    for found, formula in zip(derivatives.matern(z, a, 2, 4), expected, strict=True):
        torch.testing.assert_close(found, formula, rtol=1e-13, atol=1e-14)


def test_a_derivative_that_matern_lacks_at_zero_is_refused():
    with pytest.raises(ValueError, match=r"order is 5 .* nu 2\.5, .* choose nu of at least 3\.5"):
        derivatives.matern(ZERO, 1.0, 2, 5)


def test_rational_quadratic_derivatives_at_zero_are_its_taylor_coefficients():
    b, alpha = 0.4, 1.3
    found = at_zero(derivatives.rational_quadratic(ZERO, b, alpha, 6))
    # (1 + b z²)^-α = Σ binomial(-α, m) b^m z^(2m)
    expected, coefficient = [], 1.0
    for n in range(7):
        m = n // 2
        expected.append(coefficient * math.factorial(n) if n % 2 == 0 else 0.0)
        if n % 2:
            coefficient *= -(alpha + m) * b / (m + 1)
    assert found == pytest.approx(expected, rel=1e-14)


def test_periodic_derivatives_at_zero():
    lengthscale = torch.tensor(0.8, dtype=torch.float64)
    omega, c = 2 * math.pi / 1.7, 0.8**-2
    found = at_zero(derivatives.periodic(ZERO, 1.7, lengthscale, 4))
    # exp(c (cos θ - 1)) = 1 - c θ²/2 + (c + 3c²) θ⁴/24 - ...
    expected = [1.0, 0.0, -c * omega**2, 0.0, (c + 3 * c**2) * omega**4]
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-14)


def test_cosine_derivatives_are_quarter_turns():
    z = torch.linspace(-1, 1, 7, dtype=torch.float64)
    omega = 2 * math.pi * 1.3
    for n, value in enumerate(derivatives.cosine(z, 1.3, 5)):
        expected = omega**n * torch.cos(omega * z + n * math.pi / 2)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12 * omega**n)


def test_product_of_exponential_tables_is_leibniz():
    # exp(az) exp(bz) has derivatives (a + b)^n at 0.
    a, b = (torch.tensor([v], dtype=torch.float64) for v in (0.7, -1.9))
    found = derivatives.product([a**n for n in range(7)], [b**n for n in range(7)])
    assert at_zero(found) == pytest.approx([(0.7 - 1.9) ** n for n in range(7)], rel=1e-12)


def test_derivatives_are_differentiable_in_the_parameters():
    z = torch.linspace(-1, 1, 5, dtype=torch.float64)
    rate = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: tuple(derivatives.matern(z, r, 2, 4)), (rate,))
