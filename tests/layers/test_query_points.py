import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.layers.query_points import QueryPoints

STRIP = Grid((4, 3), (2.0, 5.0), periodic=(True, False))


def test_walls_lie_at_one_and_periodic_axes_wrap(device):
    points = torch.tensor([[0.0, 0.0], [0.5, 5.0], [2.0, 2.5]], device=device)
    expected = torch.tensor([[-1, 0, -1], [0, -1, 1], [-1, 0, 0]], device=device).float()
    torch.testing.assert_close(QueryPoints(STRIP, 2)(points), expected, atol=1e-6, rtol=0)


def test_without_a_domain_points_stay_as_they_are(device):
    points = torch.randn(2, 5, 3, device=device)
    assert torch.equal(QueryPoints(None, 3)(points), points)


def test_fourier_features_are_cosines_and_sines_of_random_directions(device):
    torch.manual_seed(0)
    features = QueryPoints(None, 2, fourier_features=3, fourier_scales=(1.0, 4.0)).to(device)
    points = torch.randn(5, 2, device=device)
    phases = 2 * math.pi * points @ features.frequencies.T
    expected = torch.cat([phases.cos(), phases.sin()], -1)
    torch.testing.assert_close(features(points), expected)
    assert features.features == 12 == expected.shape[1]


@pytest.mark.parametrize("lead", [(), (2,)])
def test_times_come_first_and_outermost(lead, device):
    points = torch.rand(*lead, 3, 1, device=device)
    features = QueryPoints(Grid((3,), 1.0, False), 1, times=(1.0, 2.0, 5.0))(points)
    assert features.shape == (*lead, 9, 2)
    torch.testing.assert_close(features[..., 3:6, 0], torch.full((*lead, 3), -0.5, device=device))
    torch.testing.assert_close(features[..., 3:6, 1:], 2 * points - 1)
