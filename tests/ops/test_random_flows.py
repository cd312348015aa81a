"""Random flows have the spectrum, speed and energy that they are asked for."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops import fourier
from pdesolve.ops.random_flows import (
    banded_flows,
    decaying_flows,
    spectral_noise,
    vortex_lattices,
)
from pdesolve.ops.vorticity import velocity_of

BOX = 2 * math.pi
MODES = 32
LAWS = {
    "noise": lambda grid, g: spectral_noise(grid, g, lambda k: 1 / k, modes=MODES),
    "banded": lambda grid, g: banded_flows(grid, g, peak=4, speed=5.0, modes=MODES),
    "decaying": lambda grid, g: decaying_flows(
        grid, g, peak=4, tau=1.0, energy=0.25, steep=True, modes=MODES
    ),
    "lattice": lambda grid, g: vortex_lattices(grid, g, largest=3, scale=1.0),
}


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


def grid(*shape: int) -> Grid:
    return Grid(shape, BOX, True)


@pytest.mark.parametrize("law", LAWS)
def test_one_generator_gives_one_flow_on_every_grid(law):
    coarse, odd, fine = (
        LAWS[law](grid(*shape), generators(2)) for shape in ((20, 20), (27, 40), (48, 64))
    )
    assert torch.allclose(fourier.resample(fine, (20, 20)), coarse, atol=1e-11)
    assert torch.allclose(fourier.resample(fine, (27, 40)), odd, atol=1e-11)


@pytest.mark.parametrize("law", LAWS)
def test_flows_have_mean_zero_and_depend_on_their_generator_alone(law):
    three = LAWS[law](grid(20, 20), generators(3))
    assert float(three.mean((1, 2)).abs().max()) < 1e-13
    alone = LAWS[law](grid(20, 20), generators(3)[2:])
    assert torch.allclose(alone, three[2:], rtol=1e-12, atol=1e-12)


def test_each_mode_of_noise_has_its_variance():
    modes = 8
    fields = spectral_noise(grid(8, 8), generators(4000), lambda k: k**-1.5, modes=modes)
    variance = torch.fft.fft2(fields, norm="forward").abs().square().mean(0)
    k = torch.fft.fftfreq(modes, 1 / modes, dtype=torch.float64)
    squared = k[:, None] ** 2 + k**2
    expected = torch.where(squared > 0, squared.clamp_min(1) ** -1.5, 0)
    # 4000 samples leave 1.6 % (2.2 % for the four real modes) of standard deviation.
    assert torch.allclose(variance, expected, rtol=0.12, atol=1e-12)


def test_noise_on_a_rectangle_uses_its_wavenumbers():
    box = Grid((16, 16), (1.0, 4.0), True)
    fields = spectral_noise(box, generators(2), lambda k: (k < 3.0).to(k), modes=16)
    modes = torch.fft.rfft2(fields, norm="forward").abs() > 1e-12
    # 2πk/4 < 3 leaves k_y = 1 alone; 2π is too large already.
    assert modes.nonzero()[:, 1:].unique(dim=0).tolist() == [[0, 1]]


def test_banded_flows_have_their_speed_and_peak():
    fields = LAWS["banded"](grid(32, 32), generators(200))
    u, v = velocity_of(fields, (BOX, BOX))
    fastest = (u**2 + v**2).amax((1, 2)).sqrt()
    assert torch.allclose(fastest, torch.full_like(fastest, 5.0), rtol=1e-12)
    shells, enstrophy = fourier.energy_spectrum(fields, (BOX, BOX))
    counts = fourier.energy_spectrum(
        spectral_noise(grid(32, 32), generators(200), torch.ones_like, modes=32), (BOX, BOX)
    )[1].mean(0)
    # Enstrophy of one mode, the squared density: largest near the peak of 4.
    density = enstrophy.mean(0)[1:12] / counts[1:12]
    assert abs(float(shells[1:12][density.argmax()]) - 4) <= 1


@pytest.mark.parametrize(("steep", "expected"), [(True, -5.0), (False, 0.0)])
def test_decaying_flows_have_their_energy_and_slope(steep, expected):
    fields = decaying_flows(
        grid(64, 64), generators(60), peak=1.0, tau=1e-9, energy=0.25, steep=steep, modes=64
    )
    u, v = velocity_of(fields, (BOX, BOX))
    energy = 0.5 * (u**2 + v**2).mean((1, 2))
    assert torch.allclose(energy, torch.full_like(energy, 0.25), rtol=1e-12)
    # With tau = 0, s = κ^-5: |ω̂|² is κ⁴ s² or κ⁴ s, times 2πκ modes in a shell.
    shells, enstrophy = fourier.energy_spectrum(fields, (BOX, BOX))
    mean = enstrophy.mean(0)
    slope = (mean[20] / mean[5]).log() / (shells[20] / shells[5]).log()
    assert float(slope) == pytest.approx(expected, abs=0.25)


def test_lattices_are_eigenfunctions_of_the_laplacian():
    fields = LAWS["lattice"](grid(24, 24), generators(12))
    ratio = -fourier.laplacian(fields, (BOX, BOX)) / fields.clamp_min(1e-3)
    strong = fields > 0.1
    found = {round(float(r[s].mean()), 6) for r, s in zip(ratio, strong, strict=True)}
    assert found == {2.0, 8.0, 18.0}


def test_walls_and_too_few_modes_are_refused():
    with pytest.raises(ValueError, match="periodic"):
        spectral_noise(Grid((8, 8), 1.0, False), generators(1), torch.ones_like, modes=8)
    with pytest.raises(ValueError, match="modes is 1"):
        spectral_noise(grid(8, 8), generators(1), torch.ones_like, modes=1)
