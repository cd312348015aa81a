import pytest
import torch
from torch import nn

from pdesolve.losses import RelativeL2
from pdesolve.training import LBFGS, AdamW, OneCycle, Settings, fit, one_step
from pdesolve.training.distributed import Place
from pdesolve.training.recipe import Recipe
from pdesolve.training.step import take_step

CONSTANT = OneCycle(warmup=0.0, start=1.0, end=1.0)


def gradients(tiny, batches, device, *, dtype=torch.float64, half=False, clip_norm=None):
    model = tiny.TinyModel(dropout=0.0).to(device, dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = [(batch.to(device), range(len(batch))) for batch in batches]
    settings = Settings(clip_norm=clip_norm, precision="bfloat16" if half else "float32")
    recipe = Recipe(RelativeL2(), one_step, AdamW(), OneCycle(), None, settings)
    step = take_step(model, optimizer, batches, recipe, Place(device), number=0)
    return step, [p.grad for p in model.parameters()]


@pytest.mark.parametrize("sizes", [(4, 4), (5, 3), (1, 2, 5)])
def test_accumulated_gradient_is_that_of_the_larger_batch(tiny, device, sizes):
    samples = tiny.tiny_set(8, dtype=torch.float64)
    ends = torch.tensor(sizes).cumsum(0).tolist()
    parts = [samples.batch(range(e - n, e)) for e, n in zip(ends, sizes, strict=True)]
    together, expected = gradients(tiny, [samples.batch(range(8))], device)
    apart, found = gradients(tiny, parts, device)
    assert apart.samples == together.samples == 8
    assert apart.loss == pytest.approx(together.loss, rel=1e-12)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_reported_norm_is_that_before_clipping(tiny, device):
    batch = tiny.tiny_set(8, dtype=torch.float64).batch(range(8))
    free, full = gradients(tiny, [batch], device)
    clipped, short = gradients(tiny, [batch], device, clip_norm=free.gradient_norm / 4)
    assert clipped.gradient_norm == pytest.approx(free.gradient_norm, rel=1e-12)
    length = torch.cat([g.flatten() for g in full]).norm().item()
    assert free.gradient_norm == pytest.approx(length, rel=1e-12)
    # torch divides by the norm plus 1e-6.
    torch.testing.assert_close(short, [g / 4 for g in full], rtol=1e-5, atol=1e-12)


def test_clipping_leaves_a_small_gradient_alone(tiny, device):
    batch = tiny.tiny_set(8, dtype=torch.float64).batch(range(8))
    _, free = gradients(tiny, [batch], device)
    _, clipped = gradients(tiny, [batch], device, clip_norm=1e6)
    torch.testing.assert_close(clipped, free, rtol=1e-12, atol=0.0)


def test_autocast_changes_the_gradient_by_the_precision_of_bfloat16(tiny, device):
    batch = tiny.tiny_set(8).batch(range(8))
    whole, expected = gradients(tiny, [batch], device, dtype=torch.float32)
    half, found = gradients(tiny, [batch], device, dtype=torch.float32, half=True)
    assert half.loss != whole.loss
    # bfloat16 has 8 bits: a relative error of 2^-9 in each of a few layers.
    assert half.loss == pytest.approx(whole.loss, rel=0.02)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.05 * b.norm() + 1e-4


def test_bfloat16_training_learns(tiny, device):
    result = fit(
        tiny.TinyModel(dropout=0.0).to(device),
        tiny.tiny_set(),
        tiny.tiny_set(8, seed=1),
        settings=Settings(epochs=40, batch_size=8, precision="bfloat16"),
    )
    assert result.best["valid/l2"] < 0.25


def test_condition_is_given_to_the_model(tiny):
    class Shift(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.zeros(1))

        def forward(self, x, condition):
            # u = (a - mean) / 2, the mean being the condition.
            return x / 2 - self.factor * condition[:, :, None, None]

    model = Shift()
    samples = tiny.tiny_set(24, condition=True)
    fit(model, samples, optimizer=AdamW(lr=0.05, weight_decay=0.0), settings=Settings(epochs=60))
    assert model.factor.item() == pytest.approx(0.5, abs=1e-3)


def test_lbfgs_runs_its_line_search_in_the_loop(tiny):
    class Affine(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.zeros(2, dtype=torch.float64))

        def forward(self, x):
            mean = x.mean((-1, -2), keepdim=True)
            return self.factor[0] * x + self.factor[1] * mean

    def squared(model, batch, loss):
        return (model(batch.x) - batch.y).square().mean()

    model = Affine()
    samples = tiny.tiny_set(24, dtype=torch.float64)
    fit(
        model,
        samples,
        objective=squared,
        optimizer=LBFGS(),
        schedule=CONSTANT,
        settings=Settings(epochs=3, batch_size=24),
    )
    torch.testing.assert_close(
        model.factor.detach(), torch.tensor([0.5, -0.5]).double(), rtol=1e-5, atol=1e-5
    )
