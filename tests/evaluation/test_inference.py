from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from pdesolve.batch import Batch
from pdesolve.evaluation.inference import predictions
from pdesolve.grid import Grid


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


@pytest.fixture
def samples(generator):
    x = torch.randn(5, 2, 6, 7, generator=generator, dtype=torch.float64)
    return Stored(Batch(x, x, Grid((6, 7), 1.0, True)))


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.factor * x


def test_every_sample_is_predicted_once_in_order(samples, device):
    pairs = list(predictions(Double().to(device), samples, batch_size=2))
    assert [len(batch) for batch, _ in pairs] == [2, 2, 1]
    together = torch.cat([prediction for _, prediction in pairs]).cpu()
    torch.testing.assert_close(together, 2 * samples.whole.y)


def test_chosen_samples_come_in_the_order_asked(samples):
    ((batch, _),) = predictions(nn.Identity(), samples, [4, 1])
    torch.testing.assert_close(batch.x, samples.whole.x[[4, 1]])


def test_condition_is_the_second_argument_where_there_is_one(samples):
    condition = torch.arange(5.0)[:, None].double()
    conditioned = Stored(replace(samples.whole, condition=condition, condition_names=("t",)))
    pairs = predictions(lambda x, t: x * t[..., None, None], conditioned, batch_size=2)
    expected = samples.whole.x * condition[..., None, None]
    torch.testing.assert_close(torch.cat([prediction for _, prediction in pairs]), expected)


def test_modules_get_their_own_modes_back(samples):
    model = nn.Sequential(Double(), nn.Dropout(0.9), nn.Identity())
    model[2].eval()
    list(predictions(model, samples))
    assert [part.training for part in model.modules()] == [True, True, True, False]


def test_module_predicts_in_evaluation_mode_without_gradients(samples):
    model = nn.Sequential(Double(), nn.Dropout(0.9))
    for batch, prediction in predictions(model, samples):
        torch.testing.assert_close(prediction, 2 * batch.y)
        assert not prediction.requires_grad
        assert model.training


def test_mode_returns_when_the_model_fails(samples):
    model = nn.Sequential(Double(), nn.Conv3d(1, 1, 1))
    with pytest.raises(RuntimeError):
        list(predictions(model, samples))
    assert model.training


def test_prediction_that_would_broadcast_is_refused(samples):
    with pytest.raises(ValueError, match=r"prediction has shape \(5, 1, 6, 7\), expected"):
        list(predictions(lambda x: x[:, :1], samples))
