"""Time steps of  dv/dt = linear v + N(v)  with a diagonal linear part, as in Fourier space.

A builder takes the diagonal (1/time, real part <= 0, broadcast against v), the time step and a
tensor `like` v; it returns the step (v, N) -> v(t + dt). Coefficients are made once, in float64,
and then take the dtype and device of `like`. Every step is differentiable: what it overwrites in
place are its own intermediate sums, which automatic differentiation does not keep.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor

from .exponential import exponential_rk4

Nonlinear = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, Nonlinear], Tensor]
Scheme = Literal["ifrk4", "etdrk4", "heun_cn", "rk4_cn", "cn_euler"]


class Builder(Protocol):
    """What every function of this file is."""

    def __call__(self, linear: Tensor, dt: float, *, like: Tensor) -> Step: ...


# Carpenter and Kennedy 1994 (NASA TM 109112), scheme 3 of five stages in two registers of memory:
# the time of each stage, the share of the old slope that it keeps, and the weight of the slope.
_STAGE_TIMES = (0.0, 0.1496590219993, 0.3704009573644, 0.6222557631345, 0.9582821306748, 1.0)
_KEPT_SLOPES = (0.0, -0.4178904745, -1.192151694643, -1.697784692471, -1.514183444257)
_WEIGHTS = (0.1496590219993, 0.3792103129999, 0.8229550293869, 0.6994504559488, 0.1530572479681)


def integrating_factor_rk4(linear: Tensor, dt: float, *, like: Tensor) -> Step:
    """Return the classical Runge-Kutta step of order four for e^(-linear t) v.

        k1 = N(v),   k2 = N(E(v + dt/2 k1)),   k3 = N(E v + dt/2 k2),   k4 = N(E² v + dt E k3)
        v' = E² v + dt/6 (E² k1 + 2 E (k2 + k3) + k4),      E = exp(linear dt/2)

    The linear part is exact. Stable for oscillations of N up to 2.8 radians a step.
    """
    half = _like(torch.exp(0.5 * dt * linear.double()), like)

    def step(v: Tensor, nonlinear: Nonlinear) -> Tensor:
        decayed = half * v
        state = torch.addcmul(decayed, half, nonlinear(v), value=0.5 * dt)
        # E v + dt/6 E k1; the other slopes join it one by one.
        total = torch.lerp(decayed, state, 1 / 3)
        slope = nonlinear(state)
        total.add_(slope, alpha=dt / 3)
        slope = nonlinear(torch.add(decayed, slope, alpha=0.5 * dt))
        total.add_(slope, alpha=dt / 3)
        slope = nonlinear(torch.add(decayed, slope, alpha=dt).mul_(half))
        return total.mul_(half).add_(slope, alpha=dt / 6)

    return step


def heun_crank_nicolson(linear: Tensor, dt: float, *, like: Tensor) -> Step:
    """Return the step of order two: Heun for N, the trapezoidal rule for the linear part.

        (1 - dt/2 linear) v* = (1 + dt/2 linear) v + dt N(v)
        (1 - dt/2 linear) v' = (1 + dt/2 linear) v + dt/2 (N(v) + N(v*))

    Source: Chandler and Kerswell 2013, doi:10.1017/jfm.2013.122.
    """
    explicit, implicit = _trapezoidal(linear, dt, like)

    def step(v: Tensor, nonlinear: Nonlinear) -> Tensor:
        linear_part, slope = explicit * v, nonlinear(v)
        predicted = torch.addcmul(linear_part, implicit, slope, value=dt)
        mean = (slope + nonlinear(predicted)).mul_(implicit)
        return linear_part.add_(mean, alpha=0.5 * dt)

    return step


def low_storage_rk4_crank_nicolson(linear: Tensor, dt: float, *, like: Tensor) -> Step:
    """Return a five-stage step: order four in N, the trapezoidal rule of order two elsewhere.

        h <- N(v) + β_j h,   (1 - μ_j linear) v <- (1 + μ_j linear) v + γ_j dt h,   j = 1 to 5
        μ_j = dt/2 (α_{j+1} - α_j)

    Source: Carpenter and Kennedy 1994, NASA TM 109112 (α, β, γ); Canuto et al. 2007, appendix D.3.
    """
    durations = [dt * (b - a) for a, b in pairwise(_STAGE_TIMES)]
    stages = [
        (kept, weight, *_trapezoidal(linear, duration, like))
        for kept, weight, duration in zip(_KEPT_SLOPES, _WEIGHTS, durations, strict=True)
    ]

    def step(v: Tensor, nonlinear: Nonlinear) -> Tensor:
        slope = torch.zeros_like(v)
        for kept, weight, explicit, implicit in stages:
            slope = torch.add(nonlinear(v), slope, alpha=kept)
            v = torch.addcmul(explicit * v, implicit, slope, value=weight * dt)
        return v

    return step


def euler_crank_nicolson(linear: Tensor, dt: float, *, like: Tensor) -> Step:
    """Return the step of order one that made the data of the Fourier neural operator.

        (1 - dt/2 linear) v' = (1 + dt/2 linear) v + dt N(v)

    Euler's method amplifies oscillations, so N needs steps far below its stability limit.

    Source: Li et al. 2020, arXiv:2010.08895, appendix on data generation.
    """
    explicit, implicit = _trapezoidal(linear, dt, like)

    def step(v: Tensor, nonlinear: Nonlinear) -> Tensor:
        return torch.addcmul(explicit * v, implicit, nonlinear(v), value=dt)

    return step


SCHEMES: Mapping[str, Builder] = {
    "ifrk4": integrating_factor_rk4,
    "etdrk4": exponential_rk4,
    "heun_cn": heun_crank_nicolson,
    "rk4_cn": low_storage_rk4_crank_nicolson,
    "cn_euler": euler_crank_nicolson,
}


def _trapezoidal(linear: Tensor, duration: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return (1 + z/2) / (1 - z/2) and 1 / (1 - z/2) for z = linear duration."""
    z = 0.5 * duration * linear.double()
    return _like((1 + z) / (1 - z), like), _like(1 / (1 - z), like)


def _like(coefficient: Tensor, like: Tensor) -> Tensor:
    # Complex where v is: a product of unequal dtypes would convert the coefficient every time.
    return coefficient.to(dtype=like.dtype, device=like.device)
