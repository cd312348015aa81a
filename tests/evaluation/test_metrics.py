import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from pdesolve.batch import Batch
from pdesolve.evaluation.metrics import BANDS, evaluate, per_sample, representatives
from pdesolve.grid import Grid

SQUARE = Grid((12, 12), 1.0, True)
WALLS = Grid((9, 14), (1.0, 2.0), False)


@dataclass(frozen=True)
class Stored:
    """Samples in memory, with what the metrics ask of a dataset."""

    whole: Batch

    @property
    def grid(self):
        return self.whole.grid

    def __len__(self):
        return len(self.whole)

    def batch(self, indices):
        tensors = ("x", "y", "condition", "mask")
        parts = {name: getattr(self.whole, name) for name in tensors}
        return replace(
            self.whole, **{k: None if t is None else t[list(indices)] for k, t in parts.items()}
        )


def random_samples(grid, generator, *, samples=5, channels=1, dtype=torch.float64):
    shape = (samples, channels, *grid.shape)
    x = torch.randn(shape, generator=generator, dtype=dtype)
    return Stored(Batch(x, x, grid))


class Scaled(nn.Module):
    """Predicts its input, too large by a share that may differ between samples."""

    def __init__(self, excess):
        super().__init__()
        self.excess = nn.Parameter(torch.tensor(excess, dtype=torch.float64))

    def forward(self, x):
        return x * (1 + self.excess.to(x.dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", [SQUARE, WALLS, Grid((11,), 1.0, True)], ids=str)
def test_prediction_too_large_by_a_share_has_that_error(grid, dtype, generator, device):
    dataset = random_samples(grid, generator, channels=2, dtype=dtype)
    errors = evaluate(Scaled(0.25).to(device), dataset)
    for name in ("l2", "h1", "max", "l2_worst"):
        assert errors[name] == pytest.approx(0.25, rel=1e-5 if dtype == torch.float32 else 1e-12)


def test_mean_counts_each_sample_once_in_a_ragged_last_batch():
    excess = torch.tensor([0.1, 0.2, 0.3, 0.4, 1.0], dtype=torch.float64)
    x = torch.cat(
        [torch.ones(5, 1, 12, 12).double(), excess.view(5, 1, 1, 1) + torch.zeros(5, 1, 12, 12)], 1
    )
    dataset = Stored(Batch(x, x[:, :1], SQUARE))
    errors = evaluate(lambda x: x[:, :1] * (1 + x[:, 1:]), dataset, batch_size=2)
    assert errors["l2"] == pytest.approx(0.4, rel=1e-12)
    assert errors["l2_std"] == pytest.approx(math.sqrt(0.1), rel=1e-12)
    assert (errors["samples"], errors["worst_sample"], errors["l2_worst"]) == (5, 4, 1)


@pytest.mark.parametrize(
    ("waves", "band"),
    [((1, 0), 0), ((1, 1), 0), ((0, 2), 1), ((3, 2), 1), ((4, 0), 2), ((5, 5), 2)],
)
def test_error_of_one_wave_lies_in_its_third_of_the_wavenumbers(waves, band):
    # The shortest wave of 12 points is number 6, so the thirds end at 2 and 4.
    x, y = SQUARE.coordinates()
    truth = torch.ones(2, 1, 12, 12).double()
    wave = torch.cos(2 * math.pi * (waves[0] * x + waves[1] * y))
    errors = evaluate(lambda x: x + 0.1 * wave, Stored(Batch(truth, truth, SQUARE)))
    expected = [0.0, 0.0, 0.0]
    expected[band] = 0.1 / math.sqrt(2)
    assert [errors[name] for name in BANDS] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("grid", [SQUARE, WALLS, Grid((7, 6, 5), 1.0, (True, False, False))])
def test_bands_add_up_to_the_error(grid, generator):
    dataset = random_samples(grid, generator, channels=2)
    noise = torch.randn(dataset.whole.x.shape, generator=generator, dtype=torch.float64)
    errors = per_sample(lambda x: x + noise, dataset)
    total = sum(errors[name].square() for name in BANDS).sqrt()
    torch.testing.assert_close(total, errors["l2"], rtol=1e-12, atol=0)


def test_max_compares_the_largest_error_with_the_largest_value():
    truth = torch.tensor([[0.0, -4.0, 1.0], [1.0, 1.0, 2.0]]).double()[:, None]
    error = torch.tensor([[0.5, 1.0, -2.0], [0.0, 0.1, 0.0]]).double()[:, None]
    dataset = Stored(Batch(truth, truth, Grid((3,), 1.0, False)))
    torch.testing.assert_close(
        per_sample(lambda x: x + error, dataset)["max"], torch.tensor([0.5, 0.05]).double()
    )


@pytest.mark.parametrize("grid", [SQUARE, WALLS], ids=str)
def test_error_outside_the_mask_does_not_count(grid, generator):
    dataset = random_samples(grid, generator)
    mask = torch.ones(5, 1, *grid.shape).double()
    mask[..., :4, :] = 0
    masked = Stored(replace(dataset.whole, mask=mask))
    errors = evaluate(lambda x: x + 7 * (1 - mask), masked)
    for name in ("l2", "max", *BANDS):
        assert errors[name] == pytest.approx(0, abs=1e-12)
    assert "h1" not in errors


def test_residual_of_the_truth_stands_beside_that_of_the_prediction(generator):
    dataset = random_samples(SQUARE, generator)

    def mean_square(batch, prediction):
        return prediction.square().flatten(1).mean(1)

    errors = evaluate(Scaled(1.0), dataset, residual=mean_square)
    truth = dataset.whole.y.square().mean().item()
    assert errors["residual"] == pytest.approx(4 * truth)
    assert errors["residual_of_truth"] == pytest.approx(truth)


def test_error_of_a_zero_truth_is_absolute(generator):
    dataset = random_samples(SQUARE, generator, channels=2)
    dataset.whole.y[3] = 0
    errors = per_sample(lambda x: torch.full_like(x, 0.5), dataset, batch_size=2)
    for name in ("l2", "max", "band_low"):
        assert errors[name][3].item() == pytest.approx(0.5)


def test_no_samples_are_refused(generator):
    with pytest.raises(ValueError, match="0 samples"):
        evaluate(Scaled(0.1), random_samples(SQUARE, generator, samples=0))


def test_sample_that_is_not_finite_is_the_worst(generator):
    dataset = random_samples(SQUARE, generator)
    bad = torch.tensor([1.0, 2.0, math.nan, 1.0, 1.0]).double().view(5, 1, 1, 1)
    errors = evaluate(lambda x: x * bad, dataset)
    assert errors["worst_sample"] == 2
    assert math.isnan(errors["l2"])


def test_representatives_of_an_odd_number_of_samples():
    chosen = representatives(torch.tensor([0.5, 0.1, 0.3]))
    assert chosen == {"best": 1, "median": 2, "worst": 0}
