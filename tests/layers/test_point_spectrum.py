import math

import pytest
import torch

from pdesolve.layers.point_spectrum import PointSpectrum, mean_coefficients, series

MODES = (8, 9)


def uniform(device, n=16, m=12):
    axes = [torch.arange(k, dtype=torch.float64, device=device) / k for k in (n, m)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 1)[None]


def cosine(points, k, l):
    return torch.cos(2 * math.pi * (k * points[..., 0] + l * points[..., 1]) + 0.3)[:, None]


SINGLE = [(0, 0), (1, 0), (-3, 0), (0, 1), (2, 3), (-2, 3), (3, 4), (-3, 1)]


@pytest.mark.parametrize(("k", "l"), SINGLE)
def test_single_modes_on_uniform_points_come_back(k, l, device):
    points = uniform(device)
    u = cosine(points, k, l)
    back = series(mean_coefficients(u, points, MODES), points, MODES)
    torch.testing.assert_close(back, u, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("k", "l"), [(0, 1), (2, 3), (-2, 3)])
def test_the_published_pairing_loses_modes_with_a_second_wavenumber(k, l):
    points = uniform("cpu")
    u = cosine(points, k, l)
    back = series(mean_coefficients(u, points, MODES), points, MODES, mispaired=True)
    error = (back - u).norm() / u.norm()
    assert abs(error - math.sqrt(0.5)) < 1e-6


@pytest.mark.parametrize(("k", "l"), SINGLE)
@pytest.mark.parametrize("modes", [(8, 9), (7, 8)])
def test_identity_weights_carry_modes_to_the_grid_and_back_to_any_points(k, l, modes, device):
    layer = PointSpectrum(1, modes, (20, 15)).to(device, torch.float64)
    layer.weight.data.zero_()
    layer.weight.data[..., 0] = 1
    points = uniform(device)
    grid = uniform(device, 20, 15)
    v = layer.to_grid(cosine(points, k, l), points)
    torch.testing.assert_close(v, cosine(grid, k, l).reshape(1, 1, 20, 15), rtol=0, atol=1e-12)
    anywhere = torch.rand(1, 50, 2, dtype=torch.float64, device=device)
    found = layer.to_points(v, anywhere)
    torch.testing.assert_close(found, cosine(anywhere, k, l), rtol=0, atol=1e-12)


def test_twice_the_points_leave_the_field_as_it_is(device):
    layer = PointSpectrum(2, MODES, (16, 16)).to(device, torch.float64)
    u = torch.randn(1, 2, 30, dtype=torch.float64, device=device)
    points = torch.rand(1, 30, 2, dtype=torch.float64, device=device)
    twice = layer.to_grid(torch.cat([u, u], 2), torch.cat([points, points], 1))
    torch.testing.assert_close(twice, layer.to_grid(u, points), rtol=1e-12, atol=1e-12)


def test_published_weights_number_288_complex_ones_for_two_channels():
    assert PointSpectrum(1, (24, 23), (96, 96)).weight.numel() == 2 * 288
    assert PointSpectrum.complex_pairs == ("weight",)


def test_more_modes_than_points_are_refused():
    with pytest.raises(ValueError, match=r"no more than the points \(8, 8\)"):
        PointSpectrum(1, (8, 9), (8, 8))
