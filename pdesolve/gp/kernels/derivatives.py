"""Closed-form derivatives of the functions k(z) that kernels are made of, at signed distances z.

Each function returns [k, k', ..., k^(order)], every entry of the shape of z broadcast with the
parameters. They are right at z = 0, where automatic differentiation through |z| is not (it gives 0
for every even derivative), and are differentiable in the parameters by autograd.

    cov(∂^i u(x), ∂^j u(x')) = (-1)^j k^(i+j)(x - x')
"""

import math
from fractions import Fraction
from functools import cache

import torch
from torch import Tensor


def gaussian(z: Tensor, rate: Tensor | float, order: int) -> list[Tensor]:
    """Derivatives of exp(-rate z²), rate > 0 in 1/length².

    k^(n+1) = -2 rate (z k^(n) + n k^(n-1))
    """
    found = [torch.exp(-rate * z**2)]
    for n in range(order):
        below = n * found[n - 1] if n else 0.0
        found.append(-2 * rate * (z * found[n] + below))
    return found


def matern(z: Tensor, rate: Tensor | float, degree: int, order: int) -> list[Tensor]:
    """Derivatives of the Matérn function of smoothness ν = degree + 1/2.

        k = P_0(s) exp(-s),  s = rate |z|,      P_{n+1} = P_n' - P_n
        k^(n) = rateⁿ sign(z)ⁿ P_n(s) exp(-s),  n <= 2 degree

    Args:
        rate: √(2ν)/ρ, in 1/length.
        degree: p in ν = p + 1/2, 0, 1, 2, ...

    Raises:
        ValueError: a derivative of the order does not exist at z = 0.
    """
    if order > 2 * degree:
        raise ValueError(
            f"order is {order} for a Matern kernel of nu {degree + 0.5}, which has {2 * degree} "
            f"derivatives at distance 0: choose nu of at least {(order + 1) // 2 + 0.5}"
        )
    s, sign = rate * z.abs(), torch.sign(z)
    decay = torch.exp(-s)
    found = []
    for n in range(order + 1):
        polynomial = torch.zeros_like(s)
        for coefficient in reversed(_matern_polynomial(degree, n)):
            polynomial = polynomial * s + float(coefficient)
        value = rate**n * polynomial * decay
        found.append(sign * value if n % 2 else value)
    return found


@cache
def _matern_polynomial(degree: int, n: int) -> tuple[Fraction, ...]:
    """Coefficients of P_n, lowest power first: exact, so that P_n(0) = 0 for odd n."""
    if n == 0:
        f = math.factorial
        return tuple(
            Fraction(f(2 * degree - i) * f(degree) * 2**i, f(i) * f(degree - i) * f(2 * degree))
            for i in range(degree + 1)
        )
    before = _matern_polynomial(degree, n - 1)
    slope = [(i + 1) * c for i, c in enumerate(before[1:])] + [Fraction(0)]
    return tuple(a - b for a, b in zip(slope, before, strict=True))


def cosine(z: Tensor, frequency: Tensor | float, order: int) -> list[Tensor]:
    """Derivatives of cos(2π frequency z): ωⁿ times the cosine n quarter turns further on."""
    omega = 2 * math.pi * frequency
    phase = omega * z
    c, s = torch.cos(phase), torch.sin(phase)
    turned = (c, -s, -c, s)
    return [omega**n * turned[n % 4] for n in range(order + 1)]


def periodic(z: Tensor, period: Tensor | float, lengthscale: Tensor, order: int) -> list[Tensor]:
    """Derivatives of exp(-2 sin²(πz/period) / lengthscale²), lengthscale without unit.

    k = exp(h),  h = (cos(2πz/period) - 1) / lengthscale²,   k^(n+1) = Σ_j C(n, j) h^(j+1) k^(n-j)
    """
    turns = cosine(z, 1 / period, order)
    h = [(turns[0] - 1) / lengthscale**2, *(turn / lengthscale**2 for turn in turns[1:])]
    # 1 - cos loses digits near z = 0; the sine squared does not.
    found = [torch.exp(-2 * (torch.sin(math.pi / period * z) / lengthscale) ** 2)]
    for n in range(order):
        found.append(_leibniz_sum(h[1:], found, n))
    return found


def rational_quadratic(
    z: Tensor, rate: Tensor | float, alpha: Tensor | float, order: int
) -> list[Tensor]:
    """Derivatives of (1 + rate z²)^-alpha.

    (1 + rate z²) k^(n+1) = -2 rate ((n + alpha) z k^(n) + n ((n - 1)/2 + alpha) k^(n-1))
    """
    base = 1 + rate * z**2
    found = [base**-alpha]
    for n in range(order):
        below = n * ((n - 1) / 2 + alpha) * found[n - 1] if n else 0.0
        found.append(-2 * rate * ((n + alpha) * z * found[n] + below) / base)
    return found


def product(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    """Derivatives of a product from those of its factors: Leibniz, order by order."""
    return [_leibniz_sum(first, second, n) for n in range(len(first))]


def _leibniz_sum(first: list[Tensor], second: list[Tensor], n: int) -> Tensor:
    total = first[0] * second[n]
    for j in range(1, n + 1):
        total = total + math.comb(n, j) * first[j] * second[n - j]
    return total
