import pytest
import torch

from pdesolve.losses import MeanSquare


def fields(generator, device):
    shape = (2, 3, 2, 5, 4)
    prediction, target = torch.randn(shape, generator=generator).to(device).double()
    mask = torch.zeros(3, 1, 5, 4, device=device)
    mask[0, :, :2], mask[1, :, 1, 1], mask[2] = 1, 1, 1
    return prediction, target, mask


def test_without_a_mask_all_points_count(device, generator):
    prediction, target, _ = fields(generator, device)
    expected = torch.nn.functional.mse_loss(prediction, target)
    for over in ("area", "points"):
        torch.testing.assert_close(MeanSquare(over)(prediction, target), expected)


@pytest.mark.parametrize(("over", "counts"), [("area", (16, 2, 40)), ("points", (40, 40, 40))])
def test_points_inside_count_by_the_area_or_as_they_are(device, generator, over, counts):
    prediction, target, mask = fields(generator, device)
    inside = mask.bool().expand_as(target)
    expected = [(prediction - target)[i][inside[i]].square().sum() / counts[i] for i in range(3)]
    found = MeanSquare(over).per_sample(prediction, target, mask=mask)
    torch.testing.assert_close(found, torch.stack(expected))


def test_what_lies_outside_has_no_gradient(device, generator):
    prediction, target, mask = fields(generator, device)
    target[mask.expand_as(target) == 0] = torch.nan
    prediction.requires_grad_()
    MeanSquare()(prediction, target, mask=mask).backward()
    assert (prediction.grad[mask.expand_as(target) == 0] == 0).all()
    assert prediction.grad.isfinite().all()
