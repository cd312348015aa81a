"""Sine transforms and the fast Poisson solve against dense matrices."""

import math

import pytest
import scipy.fft
import torch

from pdesolve.ops.sine_transform import (
    LARGEST_MATRIX,
    inverse_laplacian,
    laplacian_eigenvalues,
    sine_matrix,
    sine_transforms,
)

# Both sides of the change from matrix products to FFTs, odd and even.
SIZES = [1, 2, 7, 12, LARGEST_MATRIX, LARGEST_MATRIX + 1, LARGEST_MATRIX + 6]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}


def laplacian(points: int, spacing: float, placement: str) -> torch.Tensor:
    """Return the dense -d²/dx² between walls at zero."""
    matrix = 2 * torch.eye(points, dtype=torch.float64)
    matrix -= torch.diag(torch.ones(points - 1, dtype=torch.float64), 1)
    matrix -= torch.diag(torch.ones(points - 1, dtype=torch.float64), -1)
    if placement == "cell":
        # The wall is at half the distance: twice the flux, at both ends.
        matrix[0, 0] += 1
        matrix[-1, -1] += 1
    return matrix / spacing**2


@pytest.mark.parametrize("points", SIZES)
@pytest.mark.parametrize("placement", ["node", "cell"])
def test_rows_are_orthonormal_eigenvectors_of_the_laplacian(points, placement):
    basis = sine_matrix(points, placement)
    identity = torch.eye(points, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.mT, identity, rtol=0, atol=1e-12)
    eigenvalues = laplacian_eigenvalues(points, 0.3, placement)
    product = basis @ laplacian(points, 0.3, placement) @ basis.mT
    torch.testing.assert_close(product, torch.diag(eigenvalues), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("points", SIZES)
@pytest.mark.parametrize(("placement", "kind"), [("node", 1), ("cell", 2)])
def test_transforms_are_those_of_scipy_but_for_a_factor(points, placement, kind, dtype, device):
    u = torch.linspace(-1, 2, 3 * points, dtype=dtype, device=device).view(3, points)
    forward, inverse = sine_transforms(points, placement, dtype=dtype, device=device)
    expected = torch.from_numpy(scipy.fft.dst(u.cpu().numpy(), type=kind, norm="ortho"))
    size = float(expected.abs().max())
    modes = forward(u).cpu()
    modes = modes * (expected[0, 0] / modes[0, 0])
    torch.testing.assert_close(modes, expected, rtol=0, atol=TOLERANCE[dtype] * size)
    torch.testing.assert_close(inverse(forward(u)), u, rtol=0, atol=TOLERANCE[dtype] * size)


@pytest.mark.parametrize("shape", [(7,), (6, 9), (131, 5), (3, 140), (4, 3, 5)])
@pytest.mark.parametrize("placement", ["node", "cell"])
def test_inverse_laplacian_is_that_of_the_dense_matrix(shape, placement, device):
    spacing = (0.1, 0.25, 0.4)[: len(shape)]
    size = math.prod(shape)
    dense = torch.zeros(size, size, dtype=torch.float64)
    for axis, (n, h) in enumerate(zip(shape, spacing, strict=True)):
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        line = torch.kron(laplacian(n, h, placement), torch.eye(after, dtype=torch.float64))
        dense += torch.kron(torch.eye(before, dtype=torch.float64), line)
    f = torch.linspace(-1, 2, 2 * size, dtype=torch.float64).view(2, *shape)
    solve = inverse_laplacian(shape, spacing, placement, device=device)
    expected = torch.linalg.solve(dense, f.view(2, size).mT).mT.view_as(f)
    torch.testing.assert_close(solve(f.to(device)).cpu(), expected, rtol=1e-9, atol=1e-12)
