"""The sine-Gordon equation against its kink and its breather."""

import math

import pytest
import torch

from pdesolve.pde import SineGordon

LAW = SineGordon()
SOLITONS = [
    lambda t, x: LAW.kink(t, x, speed=0.4, start=0.3),
    lambda t, x: LAW.kink(t, x, speed=-0.8),
    lambda t, x: LAW.breather(t, x, frequency=0.6),
]


@pytest.mark.parametrize("soliton", SOLITONS)
def test_residual_of_a_soliton_vanishes(soliton, derivative_at):
    generator = torch.Generator().manual_seed(0)
    t, x = 4 * torch.rand(2, 30, generator=generator, dtype=torch.float64) - 2
    assert float(LAW.residual(derivative_at(t, x), soliton, source=0.0).abs().max()) < 1e-12
    assert float(LAW.residual(derivative_at(t, x), soliton, source=0.5).abs().min()) > 0.4


def test_a_kink_climbs_two_pi():
    far = torch.tensor([-40.0, 40.0], dtype=torch.float64)
    climb = LAW.kink(torch.zeros_like(far), far, speed=0.2).diff()
    assert float(climb) == pytest.approx(2 * math.pi, abs=1e-14)


def test_a_kink_faster_than_light_is_refused():
    with pytest.raises(ValueError, match=r"speed is 1\.0"):
        LAW.kink(torch.zeros(1), torch.zeros(1), speed=1.0)
