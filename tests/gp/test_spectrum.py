"""Bands around lines that are known, and the noise that is left."""

import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.axis import axes_of
from pdesolve.gp.manufactured import Manufactured
from pdesolve.gp.priors import band_priors, envelope_priors, spectrum_of
from pdesolve.gp.problem import problem_of
from pdesolve.gp.snapshots import snapshots
from pdesolve.gp.spectrum import noise_floor, pursue, svd

(AXIS,) = axes_of(Grid((300,), 2.0, False))


def line(frequency, phase=0.3):
    return torch.sin(2 * math.pi * frequency * AXIS.nodes + phase)[:, None]


@pytest.mark.parametrize("width", [2.0, 4.0, 8.0])
def test_lines_are_found_within_their_bands_and_no_others(width):
    truth = (11.37, 40.02)
    found = pursue(line(truth[0]) + 1e-3 * line(truth[1]), AXIS, width=width)
    assert found.remainder < 1e-11 and not found.broad and found.noise == 0.0
    for frequency in truth:
        assert any(low < frequency < high for low, high in found.bands)
    covered = sum(high - low for low, high in found.bands)
    assert covered < 0.5 * AXIS.nyquist


def test_a_line_that_is_not_needed_is_pruned():
    found = pursue(line(20.0), AXIS, width=4.0, known_lines=(20.1, 50.0))
    assert found.lines[:2] == (20.1, 50.0)
    assert all(abs(s - 20) < 4 for s in found.lines[2:])


def test_data_of_all_frequencies_are_broad():
    # Its local frequency rises from 0 to 0.94 of Nyquist's.
    chirp = torch.sin(2 * math.pi * 17.5 * AXIS.nodes**2)[:, None]
    assert pursue(chirp, AXIS, width=4.0).broad


@pytest.mark.parametrize("level", [1e-8, 1e-4, 1e-2])
def test_the_level_of_white_noise_is_found_and_not_explained(level):
    noise = level * torch.randn(300, 1, generator=torch.Generator().manual_seed(0)).double()
    found = pursue(line(20.3) + noise, AXIS, width=4.0)
    assert found.noise == pytest.approx(level, rel=0.3)
    assert not found.broad and len(found.lines) <= 3
    assert noise_floor(noise) == pytest.approx(level, rel=0.3)


def test_the_weight_decides_which_line_comes_first():
    data = line(5.2) + 3 * line(41.0)
    found = pursue(data, AXIS, width=4.0, weight=lambda s: 1 / (1 + s**4))
    assert abs(found.lines[0] - 5.2) < 1


def test_priors_of_a_problem_know_the_zeros_of_its_symbol():
    given = Manufactured("u_xx + 900*u", "sin(30*x) + x**3", [200])
    problem = problem_of(given.residual, given.grid, source=given.source, boundary=given.boundary)
    found = spectrum_of(problem, problem.axes[0], 4.0)
    assert found.lines[0] == pytest.approx(30 / (2 * math.pi))
    priors = band_priors(problem, problem.axes[0])
    assert len({tuple(p.features.frequencies.tolist()) for p in priors}) == len(priors)
    weights = [p.features.weights for p in envelope_priors(problem)]
    assert all(bool((w.diff() <= 0).all()) and float(w.max()) <= 1 for w in weights)


def test_snapshots_of_a_zero_source_are_the_traces_alone():
    given = Manufactured("u_xx + u_yy + 200*u", "sin(10*x + 10*y)", [30, 40], axes="xy",
                         homogeneous=False)  # fmt: skip
    problem = problem_of(given.residual, given.grid, source=given.source, boundary=given.boundary)
    rounding = float(problem.source(problem.nodes).abs().max())
    assert 0 < rounding < 1e-10
    assert [s.shape for s in snapshots(problem)] == [(30, 2), (40, 2)]


def test_singular_values_survive_a_failed_factorisation(monkeypatch):
    matrix = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = torch.linalg.svdvals(matrix)

    def fails(*_, **__):
        raise torch.linalg.LinAlgError

    monkeypatch.setattr(torch.linalg, "svd", fails)
    left, values, right = svd(matrix)
    torch.testing.assert_close(values, truth)
    torch.testing.assert_close(left * values @ right, matrix)
