import numpy as np
import pytest
import torch
from scipy.signal import resample

from pdesolve.ops.band import field_of_modes, kept, lowest_modes

# Old and new grid: finer, coarser, odd, even, mixed.
RESIZES = [
    ((8,), (12,)), ((8,), (13,)), ((9,), (16,)), ((12,), (8,)), ((13,), (8,)), ((16,), (9,)),
    ((8, 8), (16, 16)), ((8, 9), (13, 6)), ((12, 16), (9, 8)), ((9, 8), (8, 9)), ((6, 7), (6, 14)),
    ((6, 5, 8), (8, 9, 12)), ((8, 9, 6), (6, 5, 4)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("points", "modes", "expected"),
    [(32, 6, [0, 1, 2, -1, -2, -3]), (32, 5, [0, 1, 2, -1, -2]), (4, 12, [0, 1, -1, -2]),
     (5, 12, [0, 1, 2, -1, -2]), (1, 4, [0]), (7, 1, [0])],
)  # fmt: skip
def test_kept_wavenumbers_are_the_centred_ones_that_the_grid_has(points, modes, expected):
    assert list(kept(points, modes)) == expected


@pytest.mark.parametrize("shape", [(12,), (11, 8), (7, 6, 9)])
def test_lowest_modes_are_the_fourier_sums(shape, device, generator):
    modes = (6,) * len(shape)
    x = torch.randn(1, 1, *shape, generator=generator, dtype=torch.float64)
    spectrum = lowest_modes(x.to(device), modes).cpu()[0, 0]
    wavenumbers = [torch.tensor(kept(n, m)) for n, m in zip(shape[:-1], modes, strict=False)]
    wavenumbers.append(torch.arange(min(modes[-1], shape[-1]) // 2 + 1))
    expected = x[0, 0].to(torch.complex128)
    for k, n in zip(wavenumbers, shape, strict=True):
        waves = torch.exp(-2j * torch.pi * k[:, None].double() * torch.arange(n) / n) / n
        expected = torch.tensordot(expected, waves, dims=([0], [1]))
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("old", "new"), RESIZES)
def test_all_modes_on_another_grid_are_trigonometric_interpolation(old, new, device, generator):
    x = torch.randn(2, 3, *old, generator=generator, dtype=torch.float64)
    modes = [n + 2 for n in old]
    y = field_of_modes(lowest_modes(x.to(device), modes), modes, old, new)
    expected = x.numpy()
    for axis, n in enumerate(new):
        expected = resample(expected, n, axis=axis + 2)
    np.testing.assert_allclose(y.cpu().numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("old", "new"), RESIZES)
def test_inverse_transform_receives_real_end_columns(old, new, generator, monkeypatch):
    # cuFFT uses imaginary parts that pocketfft drops; both must be given zeros.
    received, irfft = [], torch.fft.irfft

    def watched(spectrum, **options):
        received.append(spectrum)
        return irfft(spectrum, **options)

    monkeypatch.setattr(torch.fft, "irfft", watched)
    x = torch.randn(1, 1, *old, generator=generator, dtype=torch.float64)
    modes = [n + 2 for n in old]
    spectrum = lowest_modes(x, modes)
    field_of_modes(spectrum * torch.randn_like(spectrum), modes, old, new)
    (columns,) = received
    ends = [0] + ([new[-1] // 2] if new[-1] % 2 == 0 and columns.shape[-1] > new[-1] // 2 else [])
    assert columns.imag[..., ends].abs().max() == 0
