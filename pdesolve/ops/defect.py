"""How far a trajectory is from the equation's own steps, and what that says about its error.

A trajectory h_1 ... h_n follows the known state h_0 in equal steps D. With Φ the solver over one
step, its defects are d_l = Φ(h_{l-1}) - h_l. To first order the error e = h* - h solves

    e_l = DΦ e_{l-1} + d_l,   e_0 = 0

so defects carried forward are the error, where their own size is only its rate of change: a slow
error hides in small defects. Axis 1 of every tensor is the step l = 1 ... n.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from . import fourier

# (b, l, *grid) -> the states one step D later.
Advance = Callable[[Tensor], Tensor]


def before(
    anchor: Float[Tensor, "b *grid"], states: Float[Tensor, "b n *grid"]
) -> Float[Tensor, "b n *grid"]:
    """Return h_0 ... h_{n-1}, the state that each step starts from."""
    return torch.cat([anchor[:, None], states[:, :-1]], 1)


def propagator(
    linear: Mapping[tuple[int, ...], float],
    duration: float,
    shape: Sequence[int],
    lengths: Sequence[float],
    *,
    dtype: torch.dtype,
    device: torch.device | str | None = None,
) -> Float[Tensor, "*modes"] | Complex[Tensor, "*modes"]:
    """Return E = exp(D Σ c Π_j (iκ_j)^orders_j) on the half spectrum of `rfftn`.

    Args:
        linear: the linear part of u_t as {orders: coefficient c}.
        duration: D.
        shape, lengths: of the periodic grid.
        dtype, device: of the fields; the result is complex where an order is odd.

    >>> propagator({(2,): 1.0}, 0.5, (4,), (2 * torch.pi,), dtype=torch.float64).log()
    tensor([ 0.0000, -0.5000, -2.0000], dtype=torch.float64)
    """
    kappas = fourier.wavenumbers(shape, lengths, dtype=dtype, device=device)
    half = (*shape[:-1], shape[-1] // 2 + 1)
    exponent = torch.zeros(half, dtype=dtype, device=device)
    for orders, coefficient in linear.items():
        term = torch.full_like(exponent, coefficient * duration)
        for kappa, order, points in zip(kappas, orders, shape, strict=True):
            power = kappa**order
            if order % 2 and points % 2 == 0:
                # As in `fourier.derivative`: the Nyquist cosine has no odd derivative there.
                power = torch.where(kappa.abs() == kappa.abs().max(), 0, power)
            term = term * power
        phase = sum(orders) % 4
        exponent = exponent + (1j * term if phase % 2 else term) * (-1 if phase >= 2 else 1)
    return torch.exp(exponent)


def integrated(
    defects: Float[Tensor, "b n *grid"], factor: Float[Tensor, "*modes"] | Complex[Tensor, "*modes"]
) -> Float[Tensor, "b n *grid"]:
    """Return the defects carried forward by the linear part: e_l = E e_{l-1} + d_l, e_0 = 0.

    A parallel scan of log2(n) rounds over all steps at once; differentiable. It is the error as
    far as what carries it forward is E and not advection.

    Args:
        defects: d.
        factor: E, of `propagator`.
    """
    axes = tuple(range(-factor.ndim, 0))
    e = torch.fft.rfftn(defects, dim=axes)
    distance, power = 1, factor
    while distance < e.shape[1]:
        e = torch.cat([e[:, :distance], e[:, distance:] + power * e[:, :-distance]], 1)
        distance, power = 2 * distance, power * power
    return torch.fft.irfftn(e, s=defects.shape[2:], dim=axes)


def carried(
    advance: Advance,
    starts: Float[Tensor, "b n *grid"],
    defects: Float[Tensor, "b n *grid"],
    *,
    reached: Float[Tensor, "b n *grid"] | None = None,
) -> Float[Tensor, "b n *grid"]:
    """Return the defects carried forward by the equation itself, step after step.

        e_l = G(h_{l-1} + e_{l-1}) - G(h_{l-1}) + d_l,   e_0 = 0

    The linearised error equation to first order, and the whole of it with G = Φ: h + e is then the
    solver's own trajectory. G(h) is one batch over all steps; only the other calls follow each
    other.

    Args:
        advance: G, one step.
        starts: h_0 ... h_{n-1}.
        defects: d.
        reached: G(h) where it is known already.
    """
    reached = advance(starts) if reached is None else reached
    errors = [defects[:, 0]]
    for step in range(1, defects.shape[1]):
        moved = advance((starts[:, step] + errors[-1])[:, None])[:, 0]
        errors.append(moved - reached[:, step] + defects[:, step])
    return torch.stack(errors, 1)


def low_band(u: Float[Tensor, "b n *grid"], shape: Sequence[int]) -> Float[Tensor, "b n *coarse"]:
    """Return the modes |k_j| < shape_j / 3 of a field, on a coarser grid of so many points.

    The two-thirds rule on the coarse grid: products of what is left are free of aliasing there.
    """
    return fourier.resample(fourier.truncate(u, [2 * ((n - 1) // 3) + 1 for n in shape]), shape)


def carried_coarsely(
    advance: Advance,
    starts: Float[Tensor, "b n *grid"],
    defects: Float[Tensor, "b n *grid"],
    factor: Float[Tensor, "*modes"] | Complex[Tensor, "*modes"],
    shape: Sequence[int],
) -> Float[Tensor, "b n *grid"]:
    """Return `carried` for the large scales, on a coarser grid, and `integrated` for the others.

    Args:
        advance: one step on the coarse grid.
        starts: h_0 ... h_{n-1} on the fine grid.
        defects: d on the fine grid.
        factor: E on the fine grid.
        shape: points of the coarse grid.
    """
    grid = defects.shape[2:]
    large = low_band(defects, shape)
    errors = fourier.resample(carried(advance, low_band(starts, shape), large), grid)
    return errors + integrated(defects - fourier.resample(large, grid), factor)
