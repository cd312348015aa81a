"""Velocity and self-advection of flows that formulas describe."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops.vorticity import VorticityTransport, velocity_of, vorticity_of

GRIDS = [
    Grid((24, 24), 1.0, True),
    Grid((27, 20), (2.0, 3.0), True),
    Grid((32, 45), (2 * math.pi, 1.0), True),
]
# Amplitude, wavenumbers and phase of the waves that make up the stream function.
WAVES = ((1.0, 1, 2, 0.3), (0.5, -2, 1, 1.1), (0.3, 3, 0, 0.0), (0.2, 0, 1, 2.0))


def formula(grid: Grid) -> dict[str, torch.Tensor]:
    """Return u, v, ω and -u·∇ω of ψ = Σ a cos(κ·x + φ), differentiated by hand."""
    x, y = grid.coordinates()
    fields = dict.fromkeys(("u", "v", "w", "w_x", "w_y"), torch.zeros_like(x))
    for a, j, k, phase in WAVES:
        kx, ky = 2 * math.pi * j / grid.lengths[0], 2 * math.pi * k / grid.lengths[1]
        angle = kx * x + ky * y + phase
        size = a * (kx**2 + ky**2)
        terms = {
            "u": -a * ky * angle.sin(), "v": a * kx * angle.sin(), "w": size * angle.cos(),
            "w_x": -size * kx * angle.sin(), "w_y": -size * ky * angle.sin(),
        }  # fmt: skip
        fields = {name: fields[name] + terms[name] for name in fields}
    advection = -(fields["u"] * fields["w_x"] + fields["v"] * fields["w_y"])
    return fields | {"advection": advection}


def transport(grid: Grid, dtype=torch.float64, device="cpu") -> VorticityTransport:
    return VorticityTransport(grid.shape, grid.lengths, dtype=dtype, device=device)


def close(a, b, tolerance=1e-12):
    return float((a - b).abs().max()) <= tolerance * float(b.abs().max())


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_velocity_is_that_of_the_stream_function(grid, device):
    known = formula(grid)
    flow = transport(grid, device=device)
    u, v = flow.velocity(flow.spectrum(known["w"].to(device)))
    assert close(u.cpu(), known["u"])
    assert close(v.cpu(), known["v"])


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_advection_is_that_of_the_formula(grid, device):
    # Products of the waves reach wavenumber 6, which the two-thirds of every grid here hold.
    known = formula(grid)
    flow = transport(grid, device=device)
    found = flow.field(flow.advection(flow.spectrum(known["w"].to(device))))
    assert close(found.cpu(), known["advection"])


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_float32_advection_is_right_to_its_digits(grid):
    known = formula(grid)
    flow = transport(grid, torch.float32)
    found = flow.field(flow.advection(flow.spectrum(known["w"].float())))
    assert found.dtype == torch.float32
    assert close(found.double(), known["advection"], 1e-5)


@pytest.mark.parametrize(("n", "largest"), [(9, 2), (10, 3), (12, 3), (64, 21)])
def test_modes_below_a_third_of_the_points_are_kept(n, largest):
    grid = Grid((n, n), 1.0, True)
    flow = transport(grid)
    for axis in (0, 1):
        x = grid.coordinates()[axis]
        kept, dropped = ((2 * math.pi * k * x).cos() for k in (largest, largest + 1))
        assert close(flow.field(flow.spectrum(kept)), kept)
        assert float(flow.field(flow.spectrum(dropped)).abs().max()) < 1e-13


def test_speed_is_the_largest_sum_of_components():
    known = formula(GRIDS[1])
    flow = transport(GRIDS[1])
    expected = (known["u"].abs() + known["v"].abs()).max()
    assert float(flow.speed(flow.spectrum(known["w"]))) == pytest.approx(float(expected))


def test_largest_wavenumber_is_that_of_the_finest_axis():
    assert transport(GRIDS[1]).largest_wavenumber == pytest.approx(2 * math.pi * 9 / 2)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_velocity_and_vorticity_undo_each_other(grid):
    known = formula(grid)
    u, v = velocity_of(known["w"], grid.lengths)
    assert close(u, known["u"])
    assert close(v, known["v"])
    assert close(vorticity_of(u, v, grid.lengths), known["w"])
