import itertools

import pytest
import torch

from pdesolve.layers import SpectralConv

SIZES = [(n,) for n in (8, 9, 15, 16, 31, 32, 33)]
SIZES += [(n, n) for n in (8, 9, 15, 16, 31, 32, 33)] + [(8, 9), (33, 16), (9, 32), (1, 15)]
SIZES += [(8, 8, 8), (9, 9, 9), (15, 8, 9), (8, 16, 15), (33, 9, 8), (16, 31, 15)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def trigonometric(coefficients: dict, shape, dtype=torch.float64):
    """Σ a cos(k·x) + b sin(k·x) at x_j = 2π i / n_j, for a few wavenumber tuples."""
    axes = [2 * torch.pi * torch.arange(n, dtype=torch.float64) / n for n in shape]
    points = torch.meshgrid(*axes, indexing="ij")
    field = torch.zeros(shape, dtype=torch.float64)
    for k, (a, b) in coefficients.items():
        phase = sum(kj * x for kj, x in zip(k, points, strict=True))
        field += a * torch.cos(phase) + b * torch.sin(phase)
    return field.to(dtype)


def band_limited(dims, bound, generator):
    """Random coefficients of all wavenumbers |k_j| <= bound_j."""
    wavenumbers = itertools.product(*(range(-b, b + 1) for b in bound))
    return {k: torch.randn(2, generator=generator).tolist() for k in wavenumbers}


def all_pass(dims, modes, **options):
    layer = SpectralConv(1, 1, (modes,) * dims, bias=False, **options)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.0]).expand_as(layer.weight))
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("modes", [5, 6, 12, 40])
@pytest.mark.parametrize("shape", SIZES)
def test_all_ones_weights_return_any_band_limited_field(shape, modes, dtype, device, generator):
    bound = [(min(n, modes) - 1) // 2 for n in shape]
    x = trigonometric(
        {k: v for k, v in list(band_limited(len(shape), bound, generator).items())[::7]}, shape
    )
    x = (x / x.abs().max()).to(device, dtype)[None, None]
    layer = all_pass(len(shape), modes).to(device, dtype)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=TOLERANCE[dtype])
