"""Random fields against dense sums, a covariance in closed form and published statistics."""

import math

import numpy as np
import pytest
import scipy.fft
import torch

from pdesolve import Grid
from pdesolve.ops.random_fields import eigenfunctions, gaussian_fields


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).numpy()


@pytest.mark.parametrize(
    "grid",
    [
        Grid((5, 8), (1.0, 1.5), False),
        Grid((5, 8), (1.0, 1.5), False, "cell"),
        Grid((4, 7), (1.0, 1.5), False, offset=(0.01, 0.02)),
    ],
    ids=str,
)
def test_walled_field_is_a_sum_of_cosines_at_the_points(grid):
    field = gaussian_fields(grid, generators(1), alpha=2.5, tau=3.0, modes=6, scale=1.7)
    x, y = grid.coordinates().numpy()
    expected = np.zeros(grid.shape)
    for (k, m), xi in np.ndenumerate(noise((6, 6))):
        norm = math.sqrt((1 if k == 0 else 2) * (1 if m == 0 else 2) / 1.5)
        eigenvalue = (math.pi * k) ** 2 + (math.pi * m / 1.5) ** 2 + 9
        expected += (
            1.7 * eigenvalue**-1.25 * xi * norm
            * np.cos(math.pi * k * x) * np.cos(math.pi * m * y / 1.5)
        )  # fmt: skip
    np.testing.assert_allclose(field[0].numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("modes", [6, 7])
def test_periodic_field_is_a_sum_of_sines_and_cosines_at_the_points(modes):
    grid = Grid((9,), (1.5,), True)
    field = gaussian_fields(grid, generators(1), alpha=1.0, tau=2.0, modes=modes)
    x, xi = grid.axis(0).numpy(), noise((modes,))
    expected = xi[0] / 2 / math.sqrt(1.5) + np.zeros(9)
    for index in range(1, modes):
        wavenumber = 2 * math.pi / 1.5 * ((index + 1) // 2)
        wave = np.cos(wavenumber * x) if index % 2 else np.sin(wavenumber * x)
        expected += math.sqrt(2 / 1.5) * xi[index] * wave / math.hypot(wavenumber, 2.0)
    np.testing.assert_allclose(field[0].numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("periodic", [False, True, (True, False)])
@pytest.mark.parametrize("placement", ["node", "cell"])
def test_eigenfunctions_are_orthonormal_on_the_box(periodic, placement):
    # Trapezoid and midpoint rule are exact for these waves on a fine grid.
    grid = Grid((41, 52), (1.3, 0.7), periodic, placement)
    for axis in range(2):
        basis = eigenfunctions(grid, axis, 12)
        weight = torch.full((grid.shape[axis],), grid.spacing[axis], dtype=torch.float64)
        if placement == "node" and not grid.periodic[axis]:
            weight[[0, -1]] /= 2
        gram = basis.mT * weight @ basis
        torch.testing.assert_close(gram, torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-12)


def test_covariance_of_a_periodic_line_has_its_closed_form():
    # The kernel of (-d²/dx² + τ²)^-1 on a circle of length L: cosh(τ(L/2 - r)) / (2τ sinh(τL/2)).
    length, tau, samples = 2.0, 3.0, 4000
    grid = Grid((8,), (length,), True)
    fields = gaussian_fields(grid, generators(samples), alpha=1.0, tau=tau, modes=257)
    lag = grid.axis(0)
    expected = torch.cosh(tau * (length / 2 - lag)) / (2 * tau * math.sinh(tau * length / 2))
    measured = torch.stack([(fields * fields.roll(-i, 1)).mean() for i in range(8)])
    # Eight points, barely independent: five standard errors of a variance from 4000 samples.
    error = 5 * float(expected[0]) * math.sqrt(2 / samples)
    torch.testing.assert_close(measured, expected, rtol=0, atol=error)


def test_constant_mode_is_the_mean_of_the_field():
    grid = Grid((6, 7), (1.0, 1.5), False, "cell")
    kept = gaussian_fields(grid, generators(2), alpha=2.0, tau=3.0, modes=5)
    dropped = gaussian_fields(grid, generators(2), alpha=2.0, tau=3.0, modes=5, constant_mode=False)
    assert float(dropped.mean((1, 2)).abs().max()) < 1e-15
    means = [noise((5, 5), seed)[0, 0] / 9 / math.sqrt(1.5) for seed in range(2)]
    np.testing.assert_allclose(kept.mean((1, 2)).numpy(), means, rtol=1e-12)


def test_published_cosine_transform_is_the_same_field():
    # FNO's generator on s x s cells: idct2(s τ^(α-1) (π²|k|² + τ²)^(-α/2) ξ), constant mode zero.
    s, alpha, tau = 21, 2.0, 3.0
    k = np.arange(s)
    squares = math.pi**2 * (k[:, None] ** 2 + k**2) + tau**2
    coefficients = s * tau ** (alpha - 1) * squares ** (-alpha / 2) * noise((s, s))
    coefficients[0, 0] = 0.0
    expected = scipy.fft.idctn(coefficients, norm="ortho")
    field = gaussian_fields(
        Grid((s, s), 1.0, False, "cell"), generators(1),
        alpha=alpha, tau=tau, modes=s, scale=tau ** (alpha - 1), constant_mode=False,
    )  # fmt: skip
    np.testing.assert_allclose(field[0].numpy(), expected, rtol=0, atol=1e-12)


def test_same_generator_gives_the_same_function_on_every_grid():
    fine = Grid((33, 49), (1.0, 1.5), False)
    kept = fine.stride_slice(8)
    law = {"alpha": 2.0, "tau": 3.0, "modes": 20}
    on_fine = gaussian_fields(fine, generators(2), **law)
    on_coarse = gaussian_fields(fine.strided(8), generators(2), **law)
    torch.testing.assert_close(on_fine[:, kept, kept], on_coarse, rtol=0, atol=1e-14)


def test_sign_correlations_are_those_of_the_published_darcy_files():
    # Measured on 1000 samples of 16 x 16 at these lags.
    published = {1: 0.732, 2: 0.500, 4: 0.171, 8: -0.086}
    grid = Grid((16, 16), 1.0, False, offset=1 / 1024)
    fields = gaussian_fields(
        grid, generators(400), alpha=3.0, tau=10.0, modes=48, constant_mode=False
    )
    sign = fields.sign()
    for lag, value in published.items():
        rows = (sign[:, lag:] * sign[:, :-lag]).mean((1, 2))
        columns = (sign[:, :, lag:] * sign[:, :, :-lag]).mean((1, 2))
        both = (rows + columns) / 2
        # Four standard errors of ours and of the published average.
        error = 4 * float(both.std()) * (400**-0.5 + 1000**-0.5)
        assert float(both.mean()) == pytest.approx(value, abs=error)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ({"modes": 0, "tau": 1.0}, "modes is 0, expected at least 1"),
        ({"modes": 4, "tau": 0.0}, "infinite variance"),
    ],
)
def test_impossible_laws_are_refused(law, message):
    with pytest.raises(ValueError, match=message):
        gaussian_fields(Grid((4,), 1.0, True), generators(1), alpha=2.0, **law)
