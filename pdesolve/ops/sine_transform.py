"""Sine transforms, which diagonalise the finite-volume Laplacian between walls at zero."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ..grid import Placement

Transform = Callable[[Tensor], Tensor]

# Below this many points a matrix product beats the FFT on a CPU core for most sizes and loses
# little on the others; above it the FFT wins wherever its length has small prime factors.
LARGEST_MATRIX = 128


def sine_matrix(
    points: int, placement: Placement, *, dtype: torch.dtype = torch.float64, device=None
) -> Float[Tensor, "k n"]:
    """Return the orthonormal sine basis of an axis with zero walls, one mode a row.

    node    s_kj = √(2/(n+1)) sin(π k (j+1)/(n+1))      k = 1..n: DST-I, n interior nodes
    cell    s_kj = √(2/n) sin(π k (j+1/2)/n)            k = 1..n: DST-II, √(1/n) for k = n
    """
    j = torch.arange(points, dtype=torch.float64)
    k = j[:, None] + 1
    if placement == "node":
        matrix = math.sqrt(2 / (points + 1)) * torch.sin(math.pi * k * (j + 1) / (points + 1))
    else:
        matrix = math.sqrt(2 / points) * torch.sin(math.pi * k * (j + 0.5) / points)
        # The last mode alternates +1, -1, ... and has twice the mean square of the others.
        matrix[-1] /= math.sqrt(2)
    return matrix.to(dtype=dtype, device=device)


def laplacian_eigenvalues(points: int, spacing: float, placement: Placement) -> Float[Tensor, " k"]:
    """Return the eigenvalues of the three-point -d²/dx² for the rows of `sine_matrix`, float64.

    λ_k = (2 - 2 cos(π k / N)) / h²,  N = n + 1 for interior nodes and n for cells. With cells the
    wall is half a cell away from the first centre, so the first row of the matrix is (3, -1)/h².
    """
    intervals = points + 1 if placement == "node" else points
    k = torch.arange(1, points + 1, dtype=torch.float64)
    # 4 sin² instead of 2 - 2 cos: the smallest eigenvalues keep all their digits.
    return (2 * torch.sin(math.pi * k / (2 * intervals)) / spacing) ** 2


def sine_transforms(
    points: int, placement: Placement, *, dtype: torch.dtype, device=None
) -> tuple[Transform, Transform]:
    """Return the transform of the last axis to the modes of `sine_matrix`, and its inverse.

    The modes come with a constant factor of the transform's own, which the inverse takes back:
    normalising both ways would cost a pass over memory.

    Up to LARGEST_MATRIX points both are matrix products; beyond, real FFTs of length 2(n+1) for
    nodes and 2n for cells. These are fast where the length has no prime factor above 7, for
    instance on grids of 85, 141, 211, 241, 421 or 513 nodes (walls included) and on 240, 256,
    420 or 512 cells.
    """
    if points <= LARGEST_MATRIX:
        matrix = sine_matrix(points, placement, dtype=dtype, device=device)
        return lambda u: u @ matrix.mT, lambda s: s @ matrix
    if placement == "node":
        return _sine_sums, lambda s: _sine_sums(s) * (2 / (points + 1))
    return _cell_transforms(points, dtype, device)


def _sine_sums(u: Tensor) -> Tensor:
    # -Σ_j u_j sin(π k (j+1)/(n+1)): its own inverse but for the factor 2/(n+1), signs included.
    points = u.shape[-1]
    # Zeros instead of the odd extension: its other half would only double the imaginary part.
    return torch.fft.rfft(pad(u, (1, points + 1))).imag[..., 1 : points + 1]


def _cell_transforms(points: int, dtype: torch.dtype, device) -> tuple[Transform, Transform]:
    k = torch.arange(points + 1, dtype=torch.float64)
    # The half cell between the wall and the first centre.
    shift = torch.polar(torch.full_like(k, math.sqrt(2 / points)), math.pi / 2 * k / points)
    shift[-1] /= math.sqrt(2)
    # irfft counts interior modes twice but the last one once, and divides by 2n.
    back = shift * torch.where(k == points, 2 * points, points) * -1j
    forward_shift, inverse_shift = ((1j * shift.conj()).to(device), back.to(device))
    forward_shift, inverse_shift = (
        s.to(dtype.to_complex()) for s in (forward_shift, inverse_shift)
    )

    def forward(u: Tensor) -> Tensor:
        return (torch.fft.rfft(u, n=2 * points) * forward_shift).real[..., 1:]

    def inverse(s: Tensor) -> Tensor:
        return torch.fft.irfft(pad(s, (1, 0)) * inverse_shift, n=2 * points)[..., :points]

    return forward, inverse


def inverse_laplacian(
    shape: Sequence[int],
    spacing: Sequence[float],
    placement: Placement,
    *,
    dtype: torch.dtype = torch.float64,
    device=None,
) -> Transform:
    """Return the function f -> u that solves -Δ_h u = f exactly, u = 0 on the walls.

    Δ_h is the second-order Laplacian (five points in two dimensions) on interior nodes, or on
    cells whose walls lie half a cell outside the first and last centres. Works on the last
    len(shape) axes, O(n^d log n).

    Args:
        shape: interior nodes or cells per axis.
        spacing: distance of neighbouring points per axis, length.
    """
    transforms = [sine_transforms(n, placement, dtype=dtype, device=device) for n in shape]
    eigenvalues = torch.zeros(())
    for n, h in zip(shape, spacing, strict=True):
        eigenvalues = eigenvalues[..., None] + laplacian_eigenvalues(n, h, placement)
    # Stored in the order in which `solve` meets them: the first axis fastest.
    inverse_eigenvalues = (1 / eigenvalues).movedim(0, -1).contiguous().movedim(-1, 0)
    inverse_eigenvalues = inverse_eigenvalues.to(dtype=dtype, device=device)

    def solve(f: Tensor) -> Tensor:
        # The transformed axis moves to the front; after all of them the order is the old one. On
        # the way back each axis moves to the end first, so that the result lies in memory as f.
        for forward, _ in reversed(transforms):
            f = forward(f).movedim(-1, -len(shape))
        f = f * inverse_eigenvalues
        for _, inverse in transforms:
            f = inverse(f.movedim(-len(shape), -1))
        return f

    return solve
