import math

import pytest
import torch

from pdesolve.layers.coordinate_map import CoordinateMap


def test_parameter_count_is_that_of_the_official_map():
    count = sum(p.numel() for p in CoordinateMap(32, 42, idle=True).parameters())
    assert count == 63_746


@pytest.mark.parametrize("code_dim", [0, 3])
def test_a_network_of_zeros_is_the_identity(code_dim, device):
    model = CoordinateMap(8, code_dim).to(device)
    model.last.weight.data.zero_()
    model.last.bias.data.zero_()
    points = torch.randn(2, 7, 2, device=device)
    code = torch.randn(2, code_dim, device=device) if code_dim else None
    assert torch.equal(model(points, code), points)


def test_features_are_position_angle_radius_and_their_octaves():
    model = CoordinateMap(8).double()
    points = torch.tensor([[[0.5, 2.0]]], dtype=torch.float64)
    found = model._features(points)[0, 0]
    x, y = 0.5 - 1e-4, 2.0 - 1e-4
    plain = [0.5, 2.0, math.atan2(y, x), math.hypot(x, y)]
    phases = [math.pi * 2**j * value for value in plain for j in range(2)]
    waves = [math.sin(p) for p in phases] + [math.cos(p) for p in phases]
    expected = torch.tensor(waves, dtype=torch.float64)
    torch.testing.assert_close(found[8:], expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[:8], model.first(torch.tensor(plain, dtype=torch.float64)))


def test_codes_move_points_of_their_own_sample_only():
    model = CoordinateMap(8, 3)
    points, code = torch.rand(2, 5, 2), torch.randn(2, 3)
    moved = model(points, code + torch.tensor([[0.0], [1.0]]))
    before = model(points, code)
    assert torch.equal(moved[0], before[0])
    assert not torch.equal(moved[1], before[1])
