import pytest
import torch
from torch import nn

from pdesolve.losses import RelativeL2
from pdesolve.training import NonFiniteError, Settings, fit, one_step
from pdesolve.training.guard import explain

SHORT = Settings(epochs=2, batch_size=6)


class Breaks(nn.Module):
    """The identity, but where a sample has a value over the threshold, output or gradient break."""

    def __init__(self, threshold, where):
        super().__init__()
        self.threshold, self.where = threshold, where

    def forward(self, x):
        over = (x.abs().amax((1, 2, 3), keepdim=True) > self.threshold).to(x.dtype)
        if self.where == "output":
            return x / (1 - over)
        # The forward pass looks healthy.
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient / (1 - over))
        return x


@pytest.fixture
def samples(tiny):
    return tiny.tiny_set(12)


def loudest(samples):
    x = samples.batch(range(len(samples))).x
    peaks = x.abs().amax((1, 2, 3))
    order = peaks.argsort()
    return int(order[-1]), float(peaks[order[-2:]].mean())


def test_module_and_sample_of_a_broken_output_are_named(tiny, samples, device):
    loud, threshold = loudest(samples)
    model = nn.Sequential(Breaks(threshold, "output"), tiny.TinyModel(dropout=0.0)).to(device)
    with pytest.raises(NonFiniteError, match="the output of 0") as error:
        fit(model, samples, settings=SHORT)
    assert error.value.samples == (loud,)
    assert error.value.module == "0"


def test_sample_of_a_broken_gradient_is_named(tiny, samples):
    loud, threshold = loudest(samples)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), Breaks(0.0, "gradient"))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
    model[1].threshold = threshold
    with pytest.raises(NonFiniteError, match="the gradient") as error:
        fit(model, samples, settings=SHORT)
    assert error.value.samples == (loud,)
    assert error.value.module is None


def test_weights_are_not_touched_by_a_broken_step(tiny, samples):
    _, threshold = loudest(samples)
    model = nn.Sequential(Breaks(threshold, "output"), tiny.TinyModel(dropout=0.0))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with pytest.raises(NonFiniteError):
        fit(model, samples, settings=Settings(epochs=1, batch_size=12))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_checkpoints_of_before_are_whole(tiny, samples, tmp_path):
    from pdesolve.training.checkpoint import Checkpoints

    model = tiny.TinyModel(dropout=0.0)
    calls = iter(range(100))

    def breaks_later(model, batch, loss):
        value = one_step(model, batch, loss)
        return value * float("nan") if next(calls) >= 5 else value

    with pytest.raises(NonFiniteError, match="the loss"):
        fit(
            model,
            samples,
            folder=tmp_path,
            objective=breaks_later,
            settings=Settings(epochs=9, batch_size=6, checkpoint_every=1),
        )
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    assert newest.state["step"] == 5
    assert all(t.isfinite().all() for t in newest.tensors.values() if t.is_floating_point())


@pytest.mark.parametrize("field", ["x", "y"])
def test_broken_data_is_named_before_the_model(tiny, samples, field):
    batch = samples.batch(range(4))
    getattr(batch, field)[2] = float("inf")

    def evaluate(model, batch):
        return one_step(model, batch, RelativeL2())

    error = explain(tiny.TinyModel(), batch, [10, 11, 12, 13], evaluate)
    assert error.samples == (12,)
    assert f"{field} of the data" in str(error)


def test_training_on_broken_data_stops_in_the_first_step(tiny, samples):
    samples.batch = lambda indices, whole=samples.batch: _spoilt(whole(indices), indices)
    with pytest.raises(NonFiniteError, match="x of the data") as error:
        fit(tiny.TinyModel(), samples, settings=SHORT)
    assert error.value.samples == (7,)


def _spoilt(batch, indices):
    for row, index in enumerate(indices):
        if index == 7:
            batch.x[row, 0, 0, 0] = float("nan")
    return batch
