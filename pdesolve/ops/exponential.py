"""Exponential time stepping: stiff linear parts exactly, the rest by Runge-Kutta of order four."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

# Below this size the recurrence of `phi_functions` cancels digits; the series does not.
_SMALL = 1.0
# 1 / 20! is below the rounding of float64, so this many terms are exact for |z| <= 1.
_TERMS = 20


def phi_functions(
    z: Float[Tensor, "*modes"] | Complex[Tensor, "*modes"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return φ1, φ2, φ3 of z, to rounding for every z with real part <= 0.

        φ1(z) = (e^z - 1) / z,    φ2(z) = (φ1(z) - 1) / z,    φ3(z) = (φ2(z) - 1/2) / z

    Taylor's series where |z| <= 1, the formulas elsewhere. (The usual mean over a circle of
    radius 1 loses digits near |z| = 1, where the circle passes through 0.)

    >>> [round(float(phi), 6) for phi in phi_functions(torch.zeros((), dtype=torch.float64))]
    [1.0, 0.5, 0.166667]
    """
    small = z.abs() <= _SMALL
    inside, outside = torch.where(small, z, 0), torch.where(small, 1, z)
    recurrent = torch.exp(outside)
    phis = []
    for order in (1, 2, 3):
        recurrent = (recurrent - 1 / math.factorial(order - 1)) / outside
        series = torch.zeros_like(z)
        for power in reversed(range(_TERMS)):
            series = series * inside + 1 / math.factorial(power + order)
        phis.append(torch.where(small, series, recurrent))
    return phis[0], phis[1], phis[2]


def exponential_rk4(
    linear: Float[Tensor, "*modes"] | Complex[Tensor, "*modes"], dt: float, *, like: Tensor
) -> Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]:
    """Return the step (v, N) -> v(t + dt) of  dv/dt = linear v + N(v)  by ETDRK4.

        a  = e^{z/2} v + dt/2 φ1(z/2) N(v),      z = linear dt
        b  = e^{z/2} v + dt/2 φ1(z/2) N(a)
        c  = e^{z/2} a + dt/2 φ1(z/2) (2 N(b) - N(v))
        v' = e^z v + dt ((φ1 - 3φ2 + 4φ3) N(v) + 2 (φ2 - 2φ3) (N(a) + N(b)) + (4φ3 - φ2) N(c))

    Exact where N = 0 and of order four for smooth v; every operation is differentiable.

    Args:
        linear: diagonal of the linear part, 1/time, broadcast against v; real part <= 0.
        dt: time step.
        like: a tensor with the dtype and device of v; coefficients are made in float64 first.

    Source: Cox and Matthews 2002, doi:10.1006/jcph.2002.6995, equations 26 to 29.
    """
    z = dt * linear.to(torch.complex128 if linear.is_complex() else torch.float64)
    phi1, phi2, phi3 = phi_functions(z)
    half, full, inner, first, middle, last = (
        coefficient.to(device=like.device, dtype=like.dtype)
        for coefficient in (
            torch.exp(z / 2),
            torch.exp(z),
            dt / 2 * phi_functions(z / 2)[0],
            dt * (phi1 - 3 * phi2 + 4 * phi3),
            2 * dt * (phi2 - 2 * phi3),
            dt * (4 * phi3 - phi2),
        )
    )

    def step(v: Tensor, nonlinear: Callable[[Tensor], Tensor]) -> Tensor:
        at_v = nonlinear(v)
        a = half * v + inner * at_v
        at_a = nonlinear(a)
        at_b = nonlinear(half * v + inner * at_a)
        at_c = nonlinear(half * a + inner * (2 * at_b - at_v))
        return full * v + first * at_v + middle * (at_a + at_b) + last * at_c

    return step
