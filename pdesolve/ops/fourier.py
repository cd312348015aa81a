"""Fourier calculus on periodic grids: every field that goes in or comes out is real.

A field of n points on an axis of length L stands for the trigonometric polynomial

    u(x) = Σ_k û_k exp(iκx),   κ = 2πk/L,   û_k = (1/n) Σ_x u(x) exp(-iκx),   |k| <= n/2

On an even axis the mode k = n/2 (Nyquist) is a cosine: its sine vanishes at every point. Where the
first point lies does not matter, so nodes, cell centres and offset nodes are all treated alike.
Functions act on the last d axes, d being the number of `lengths`, `orders`, `modes` or sizes given;
all axes before those are batch. Constants take the dtype and device of the field.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def wavenumbers(
    shape: Sequence[int],
    lengths: Sequence[float],
    *,
    dtype: torch.dtype,
    device: torch.device | str | None = None,
) -> tuple[Tensor, ...]:
    """Angular wavenumbers κ_j = 2πk_j/L_j of a real transform, one tensor an axis.

    Args:
        shape: points per axis.
        lengths: side of the periodic box per axis, > 0.
        dtype: of the field that they will meet; a default would cost float64 fields 8 digits.
        device: likewise.

    Returns:
        d tensors that broadcast against `rfftn` over the last d axes, in 1/length. The last axis
        is halved (0 to n//2); on the others the Nyquist mode of an even size is -n/2.

    Raises:
        ValueError: shape and lengths disagree in number, or a length is not positive.

    >>> wavenumbers((4,), (2 * torch.pi,), dtype=torch.float64)
    (tensor([0., 1., 2.], dtype=torch.float64),)
    """
    _check_lengths(lengths, len(shape))
    kappas = []
    for axis, (n, length) in enumerate(zip(shape, lengths, strict=True)):
        last = axis == len(shape) - 1
        k = _integers(n, half=last, dtype=dtype, device=device)
        broadcastable = [1] * len(shape)
        broadcastable[axis] = -1
        kappas.append((2 * math.pi / length * k).reshape(broadcastable))
    return tuple(kappas)


def squared_wavenumber(
    shape: Sequence[int],
    lengths: Sequence[float],
    *,
    dtype: torch.dtype,
    device: torch.device | str | None = None,
) -> Float[Tensor, "*modes"]:
    """|κ|² = Σ_j κ_j² on the half spectrum of `rfftn`; arguments and errors of `wavenumbers`."""
    kappas = wavenumbers(shape, lengths, dtype=dtype, device=device)
    return sum((kappa**2 for kappa in kappas[1:]), kappas[0] ** 2)


def half_spectrum_weights(
    n: int, *, dtype: torch.dtype, device: torch.device | str | None = None
) -> Float[Tensor, " k"]:
    """How many modes of the full spectrum each column of an rfft of n points stands for.

    Interior columns stand for +k and -k; column 0 and, when n is even, column n/2 for one mode.

    >>> half_spectrum_weights(6, dtype=torch.float64)
    tensor([1., 2., 2., 1.], dtype=torch.float64)
    >>> half_spectrum_weights(5, dtype=torch.float64)
    tensor([1., 2., 2.], dtype=torch.float64)
    """
    weights = torch.full((n // 2 + 1,), 2.0, dtype=dtype, device=device)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights


def derivative(
    u: Float[Tensor, "*axes"], orders: Sequence[int], lengths: Sequence[float]
) -> Float[Tensor, "*axes"]:
    """Partial derivative of a periodic field, exact for every mode below Nyquist.

        ∂^orders u = Σ_k Π_j (iκ_j)^orders_j û_k exp(iκx)

    Args:
        u: field (..., *grid).
        orders: derivative order per axis, >= 0.
        lengths: side of the periodic box per axis, > 0.

    Returns:
        The derivative at the same points, in units of u per length^sum(orders). On an even axis
        an odd order gives the Nyquist mode derivative 0, that of a cosine at its extrema.

    Raises:
        ValueError: orders, lengths and u disagree in number of axes, or a value is not allowed.

    Source: L. N. Trefethen, Spectral Methods in MATLAB (2000), chapter 3.
    """
    _check_lengths(lengths, len(orders))
    _check_axes(u, len(orders))
    if min(orders) < 0:
        raise ValueError(
            f"orders is {tuple(orders)}, expected numbers >= 0: "
            f"inverse_laplacian integrates where a derivative must be undone"
        )
    for axis, (order, length) in enumerate(zip(orders, lengths, strict=True)):
        if order:
            u = _derivative_along(u, axis - len(orders), order, length)
    return u


def laplacian(u: Float[Tensor, "*axes"], lengths: Sequence[float]) -> Float[Tensor, "*axes"]:
    """Laplacian of a periodic field, exact for every mode that the grid resolves.

        Δu = Σ_k -|κ|² û_k exp(iκx)

    Args:
        u: field (..., *grid).
        lengths: side of the periodic box per axis, > 0.

    Returns:
        Δu in units of u per length².

    Raises:
        ValueError: u has fewer axes than lengths, or a length is not positive.

    >>> laplacian(torch.ones(2, 4, 5), (1.0, 1.0)).abs().max().item()
    0.0
    """
    return _multiplied(u, -_squared_wavenumber_of(u, lengths))


def inverse_laplacian(
    u: Float[Tensor, "*axes"], lengths: Sequence[float]
) -> Float[Tensor, "*axes"]:
    """Zero-mean solution v of Δv = u - mean(u) on the periodic box.

        v = Σ_{k≠0} -|κ|^(-2) û_k exp(iκx)

    The mean of u is dropped: on a torus Δv = u has a solution only for zero mean.

    Args:
        u: right-hand side (..., *grid).
        lengths: side of the periodic box per axis, > 0.

    Returns:
        v in units of u times length².

    Raises:
        ValueError: u has fewer axes than lengths, or a length is not positive.
    """
    squared = _squared_wavenumber_of(u, lengths)
    return _multiplied(u, torch.where(squared > 0, -1 / squared, 0))


def truncate(u: Float[Tensor, "*axes"], modes: Sequence[int]) -> Float[Tensor, "*axes"]:
    """Low-pass part of a field: the modes with |k_j| < modes_j / 2 on every axis.

    `modes` counts both signs. An odd number m keeps exactly m modes, -(m-1)/2 to (m-1)/2; an even
    one keeps m - 1, because -m/2 without +m/2 would not be real. More modes than the grid has
    keep everything, the Nyquist mode included once modes_j > n_j.

    Args:
        u: field (..., *grid).
        modes: kept modes per axis, >= 1; 1 keeps the mean along that axis.

    Raises:
        ValueError: u has fewer axes than modes, or a number of modes is below 1.
    """
    _check_axes(u, len(modes))
    if min(modes) < 1:
        raise ValueError(f"modes is {tuple(modes)}, expected >= 1 on every axis: 1 keeps the mean")
    # In a box of sides 2π the wavenumbers are the integers k.
    torus = (2 * math.pi,) * len(modes)
    ks = wavenumbers(u.shape[u.ndim - len(modes) :], torus, dtype=u.dtype, device=u.device)
    kept = torch.ones((), dtype=torch.bool, device=u.device)
    for k, count in zip(ks, modes, strict=True):
        # k is rounded in its last digit; the limit lies half a mode away from every integer.
        kept = kept & (k.abs() < (count + 1) // 2 - 0.5)
    return _multiplied(u, kept)


def resample(u: Float[Tensor, "..."], shape: Sequence[int]) -> Float[Tensor, "..."]:
    """Values of the field's trigonometric polynomial on a finer or coarser grid.

    An axis that grows is interpolated exactly: the Nyquist mode of an even size, one cosine, is
    split evenly between +n/2 and -n/2. An axis that shrinks from n to m points first loses the
    modes |k| > m/2, which the new grid would alias; for even m the modes ±m/2 fold into its one
    Nyquist mode. Amplitudes are kept (a constant stays that constant), growing and shrinking back
    returns the field, and each axis may do either.

    The first point stays in place: values at o + iL/n become values at o + iL/m. This is
    `Grid.resized` for periodic node grids, with any offset. The centres of cells move when their
    number changes, so on a cell grid the result lies L/(2n) - L/(2m) right of the new centres.

    Args:
        u: periodic field (..., *grid).
        shape: new number of points per axis, >= 1.

    Returns:
        Field (..., *shape).

    Raises:
        ValueError: u has fewer axes than shape, or a size is below 1.
    """
    _check_axes(u, len(shape))
    if min(shape) < 1:
        raise ValueError(f"shape is {tuple(shape)}, expected >= 1 point on every axis: pass sizes")
    # Shrinking first leaves the least work for the transforms that follow.
    by_growth = sorted(range(-len(shape), 0), key=lambda axis: shape[axis] / u.shape[axis])
    for axis in by_growth:
        if shape[axis] != u.shape[axis]:
            u = _resample_along(u, axis, shape[axis])
    return u


def energy_spectrum(
    u: Float[Tensor, "..."], lengths: Sequence[float]
) -> tuple[Float[Tensor, " k"], Float[Tensor, "... k"]]:
    """Energy of a periodic field in shells of wavenumber; all shells together hold mean(u²)/2.

        E_j = ½ Σ |û_k|²   over the modes with j - ½ <= |κ|/Δκ < j + ½,   Δκ = 2π / max(L)

    The shells reach into the corners of the spectrum, so that no mode is left out. The energy of
    a vector field is the sum over its components.

    Args:
        u: field (..., *grid).
        lengths: side of the periodic box per axis, > 0.

    Returns:
        The wavenumbers j Δκ of the shells (k,), in 1/length, and the energies (..., k), in units
        of u squared. Divide by Δκ for a density.

    Raises:
        ValueError: u has fewer axes than lengths, or a length is not positive.
    """
    _check_axes(u, len(lengths))
    dims = len(lengths)
    shape = u.shape[u.ndim - dims :]
    width = 2 * math.pi / max(lengths)
    # In float64 for every field: fields of all dtypes must fill the same shells.
    squared = squared_wavenumber(shape, lengths, dtype=torch.float64, device=u.device)
    shells = torch.floor(squared.sqrt() / width + 0.5).long()
    coefficients = torch.fft.rfftn(u, dim=tuple(range(-dims, 0)), norm="forward")
    counts = half_spectrum_weights(shape[-1], dtype=u.dtype, device=u.device)
    energies = 0.5 * counts * (coefficients.real**2 + coefficients.imag**2)
    shell_count = int(shells.max()) + 1
    summed = energies.new_zeros(*u.shape[: u.ndim - dims], shell_count)
    summed = summed.index_add(-1, shells.flatten(), energies.flatten(-dims))
    return width * torch.arange(shell_count, dtype=u.dtype, device=u.device), summed


def _derivative_along(u: Tensor, axis: int, order: int, length: float) -> Tensor:
    n = u.shape[axis]
    k = _integers(n, half=True, dtype=u.dtype, device=u.device)
    # The power of i apart: a complex power would round where the real one does not.
    symbol = 1j**order * (2 * math.pi / length * k) ** order
    if order % 2 == 1 and n % 2 == 0:
        # Imaginary there, as in no real field; not left to each backend's inverse to drop.
        symbol[-1] = 0
    symbol = symbol.reshape(-1, *(1,) * (-axis - 1))
    return torch.fft.irfft(symbol * torch.fft.rfft(u, dim=axis), n=n, dim=axis)


def _resample_along(u: Tensor, axis: int, points: int) -> Tensor:
    n = u.shape[axis]
    shared = min(n, points)
    # "forward" puts the 1/n on the analysis side, so amplitudes do not depend on the new size.
    spectrum = torch.fft.rfft(u, dim=axis, norm="forward").narrow(axis, 0, shared // 2 + 1)
    if shared % 2 == 0:
        # The Nyquist mode of the smaller grid is an interior mode of the larger one, and interior
        # columns stand for +k and -k: growing splits the cosine, shrinking adds the two.
        below, edge = spectrum.split([shared // 2, 1], axis)
        edge = 0.5 * edge if points > n else 2 * edge.real
        spectrum = torch.cat([below, edge.to(below.dtype)], axis)
    return torch.fft.irfft(spectrum, n=points, dim=axis, norm="forward")


def _multiplied(u: Tensor, symbol: Tensor) -> Tensor:
    # The symbol is even in k on every axis, so the product is the transform of a real field.
    axes = tuple(range(-symbol.ndim, 0))
    shape = u.shape[u.ndim - symbol.ndim :]
    return torch.fft.irfftn(symbol * torch.fft.rfftn(u, dim=axes), s=shape, dim=axes)


def _squared_wavenumber_of(u: Tensor, lengths: Sequence[float]) -> Tensor:
    _check_axes(u, len(lengths))
    shape = u.shape[u.ndim - len(lengths) :]
    return squared_wavenumber(shape, lengths, dtype=u.dtype, device=u.device)


def _integers(
    n: int, *, half: bool, dtype: torch.dtype, device: torch.device | str | None
) -> Tensor:
    if half:
        return torch.arange(n // 2 + 1, dtype=dtype, device=device)
    # In the order of fftfreq: 0 to (n-1)//2, then -(n//2) to -1.
    return (torch.arange(n, dtype=dtype, device=device) + n // 2) % n - n // 2


def _check_lengths(lengths: Sequence[float], dims: int) -> None:
    if len(lengths) != dims:
        raise ValueError(
            f"lengths has {len(lengths)} entries, expected {dims}: one side of the box per axis"
        )
    if not all(0 < length < math.inf for length in lengths):
        raise ValueError(
            f"lengths is {tuple(lengths)}, expected numbers > 0: pass the sides of the periodic box"
        )


def _check_axes(u: Tensor, dims: int) -> None:
    if not 0 < dims <= u.ndim:
        raise ValueError(
            f"u has {u.ndim} axes, expected at least {max(dims, 1)}: "
            f"the field's last axes are the grid, one for each entry of the other argument"
        )
