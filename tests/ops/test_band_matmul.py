import pytest
import torch

from pdesolve.ops import band, band_matmul
from pdesolve.ops.memory import is_channels_last, to_channels_last

# Odd, even, one point, full band, more modes than points, an odd number of modes.
BANDS = [
    ((16,), (6,)), ((9,), (12,)), ((8,), (8,)), ((8,), (5,)), ((12, 9), (6, 5)), ((8, 8), (8, 8)),
    ((7, 8), (5, 9)), ((9, 7), (4, 12)), ((4, 6), (7, 3)), ((1, 5), (3, 3)), ((5, 1), (3, 1)),
    ((6, 5, 8), (4, 3, 6)), ((5, 6, 7), (6, 6, 7)),
]  # fmt: skip
RESIZES = [lambda n: n, lambda n: n + 3, lambda n: 2 * n, lambda n: max(1, n // 2)]


def field(grid, generator, device, channels_last):
    x = torch.randn(2, 3, *grid, generator=generator, dtype=torch.float64).to(device)
    return to_channels_last(x) if channels_last else x


def as_complex(parts):
    """Parts (*k, b, c) as the spectrum (b, c, *k) of the version with FFTs."""
    return torch.complex(*parts).movedim((-2, -1), (0, 1))


def as_parts(spectrum):
    moved = spectrum.movedim((0, 1), (-2, -1))
    return moved.real, moved.imag


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("grid", "modes"), BANDS)
def test_modes_and_their_gradient_are_those_of_ffts(grid, modes, channels_last, device, generator):
    x = field(grid, generator, device, channels_last).requires_grad_()
    expected = band.lowest_modes(x, modes)
    spectrum = as_complex(band_matmul.lowest_modes(x, modes))
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-13)
    probe = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad(torch.vdot(probe.flatten(), s.flatten()).real, x)[0]
        for s in (spectrum, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("grid", "modes"), BANDS)
def test_fields_and_their_gradient_are_those_of_ffts(
    grid, modes, resize, channels_last, device, generator
):
    shape = tuple(resize(n) for n in grid)
    spectrum = band.lowest_modes(field(grid, generator, device, False), modes)
    spectrum = (spectrum * torch.randn_like(spectrum)).requires_grad_()
    expected = band.field_of_modes(spectrum, modes, grid, shape)
    parts = as_parts(spectrum)
    y = band_matmul.field_of_modes(parts, modes, grid, shape, channels_last=channels_last)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    assert is_channels_last(y) == channels_last
    probe = torch.randn_like(expected)
    gradients = [torch.autograd.grad(f, spectrum, probe)[0] for f in (y, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("grid", [(64, 64), (97, 128)])
def test_float32_loses_less_than_a_millionth(grid, device, generator):
    modes = (32, 32)
    x = torch.randn(1, 2, *grid, generator=generator, dtype=torch.float64).to(device)
    expected = band.field_of_modes(band.lowest_modes(x, modes), modes, grid, grid)
    parts = band_matmul.lowest_modes(x.float(), modes)
    y = band_matmul.field_of_modes(parts, modes, grid, grid)
    error = torch.linalg.vector_norm(y - expected) / torch.linalg.vector_norm(expected)
    assert error < 1e-6


@pytest.mark.parametrize(
    ("grid", "modes", "channels_last", "expected"),
    [((64, 64), (32, 32), True, True), ((64, 64), (32, 32), False, True),
     ((64, 64), (64, 64), False, False), ((256, 256), (32, 32), False, True),
     ((256, 256), (256, 256), True, False), ((4096,), (1024,), True, False),
     ((64, 64, 64), (32, 32, 32), True, True), ((1,), (1,), False, True)],
)  # fmt: skip
def test_products_pay_where_few_modes_are_kept(grid, modes, channels_last, expected):
    assert band_matmul.pays(grid, modes, channels_last=channels_last) == expected
