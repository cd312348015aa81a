import numpy as np
import pytest
import torch

from pdesolve.ops.band_matrices import analysis, synthesis

LIKE = torch.empty((), dtype=torch.float64)


@pytest.mark.parametrize("points", [1, 7, 8])
def test_synthesis_undoes_analysis_if_all_modes_are_kept(points):
    highest = points // 2
    back = synthesis(points, highest, points, last=True, like=LIKE)
    identity = back @ analysis(points, highest, last=True, like=LIKE)
    torch.testing.assert_close(identity, torch.eye(points, dtype=LIKE.dtype), rtol=0, atol=1e-14)


def test_rows_are_the_waves_of_the_table():
    found = analysis(8, 2, last=False, like=LIKE)
    x = 2 * np.pi * np.arange(8) / 8
    waves = [np.ones(8), np.cos(x), np.cos(2 * x), np.sin(x), np.sin(2 * x)]
    np.testing.assert_allclose(found.numpy(), np.array(waves) / 8, atol=1e-16)
    last = analysis(8, 1, last=True, like=LIKE)
    waves = [np.ones(8), np.cos(x), np.zeros(8), -np.sin(x)]
    np.testing.assert_allclose(last.numpy(), np.array(waves) / 8, atol=1e-16)


def test_no_grid_sees_the_sine_of_its_nyquist_mode():
    assert analysis(6, 3, last=False, like=LIKE)[-1].abs().max() == 0
    assert synthesis(12, 3, 6, last=False, like=LIKE)[:, -1].abs().max() == 0
    assert synthesis(6, 3, 12, last=True, like=LIKE)[:, -1].abs().max() == 0


@pytest.mark.parametrize("points", [60, 421, 1000])
def test_float32_matrices_are_rounded_once(points):
    wide = analysis(points, points // 2, last=False, like=LIKE)
    narrow = analysis(points, points // 2, last=False, like=LIKE.float())
    assert torch.equal(narrow, wide.float())


def test_matrices_are_kept_for_each_precision_and_device(device):
    first = analysis(16, 4, last=True, like=torch.empty((), device=device))
    assert analysis(16, 4, last=True, like=torch.empty((), device=device)) is first
    assert first.device.type == device.type
    assert analysis(16, 4, last=True, like=LIKE).dtype == torch.float64
