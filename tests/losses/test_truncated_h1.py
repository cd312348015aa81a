import math

import pytest
import torch

from pdesolve.losses import TruncatedH1


def wave(k, l, shape, device="cpu"):
    x, y = (torch.arange(n, dtype=torch.float64, device=device) / n for n in shape)
    return torch.cos(2 * math.pi * (k * x[:, None] + l * y))[None, None]


@pytest.mark.parametrize("shape", [(64, 64), (85, 47), (50, 63)])
@pytest.mark.parametrize(
    ("k", "l", "square"),
    [(0, 3, 1 + 9), (3, -4, 1 + 25), (19, 0, 1 + 361), (20, 5, 1 + 25), (-22, 21, 1), (0, 0, 1)],
)
def test_a_wave_counts_by_its_wavenumbers_below_the_cutoff(k, l, square, shape, device):
    target = wave(1, 0, shape, device)
    prediction = target + 0.1 * wave(k, l, shape, device)
    # Both waves have the same mean square but for the constant, which has twice that.
    strength = 2 if (k, l) == (0, 0) else 1
    expected = 0.1 * math.sqrt(strength * square / 2)
    found = TruncatedH1()(prediction, target)
    torch.testing.assert_close(found.item(), expected, rtol=1e-12, atol=0)


def test_samples_are_averaged_and_channels_joined():
    u, v = wave(1, 2, (24, 24)), wave(3, 0, (24, 24))
    target = torch.cat([torch.cat([u, v], 1), torch.cat([u, 2 * v], 1)])
    prediction = torch.cat([torch.cat([2 * u, v], 1), torch.cat([u, v], 1)])
    first, second = math.sqrt(6 / 16), math.sqrt(10 / (6 + 4 * 10))
    loss = TruncatedH1()
    torch.testing.assert_close(
        loss.per_sample(prediction, target), torch.tensor([first, second], dtype=torch.float64)
    )
    assert math.isclose(loss(prediction, target).item(), (first + second) / 2)


def test_a_perfect_prediction_has_no_loss_and_no_gradient():
    target = wave(1, 2, (9, 8))
    prediction = target.clone().requires_grad_()
    loss = TruncatedH1()(prediction, target)
    loss.backward()
    assert loss == 0 and (prediction.grad == 0).all()


def test_a_mask_is_refused():
    u = wave(1, 2, (9, 8))
    with pytest.raises(ValueError, match="use RelativeL2 on masked fields"):
        TruncatedH1()(u, u, mask=torch.ones(1, 1, 9, 8))
