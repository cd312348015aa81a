import numpy as np
import pytest
import torch

from pdesolve.datasets import from_arrays, from_cartesian_product, split
from pdesolve.evaluation import evaluate
from pdesolve.layers import Normalized
from pdesolve.operators import DeepONet
from pdesolve.training import AdamW, RandomPoints, Settings, fit


def antiderivatives(samples=60):
    """u = Σ a_k cos(π k s) at 12 sensors; its integral from 0 at 25 random points."""
    random = np.random.default_rng(0)
    amplitudes = random.normal(size=(samples, 3))
    k = np.arange(1, 4)
    sensors, points = np.linspace(0, 1, 12), np.sort(random.random(25))
    u = amplitudes @ np.cos(np.pi * k[:, None] * sensors)
    integral = amplitudes @ (np.sin(np.pi * k[:, None] * points) / (np.pi * k[:, None]))
    return from_cartesian_product(u, points[:, None], integral)


def test_functions_at_points_are_learned_and_judged(tmp_path):
    parts = split(antiderivatives(), {"train": 50, "valid": 10})
    torch.manual_seed(0)
    operator = DeepONet(1, 1, sensors=12, dims=1, basis=12, branch=(24,), trunk=(24, 24))
    model = Normalized(operator, **parts["train"].normalization()).double()
    result = fit(
        model, parts["train"], parts["valid"], folder=tmp_path, optimizer=AdamW(lr=1e-2),
        augmentation=RandomPoints(10), settings=Settings(epochs=60, batch_size=10), progress=False,
    )  # fmt: skip
    errors = evaluate(model, parts["valid"])
    # Predicting zero has an error of 1.
    assert errors["l2"] < 0.5
    assert errors["l2"] == pytest.approx(result.history[-1]["valid/l2"], rel=1e-6)
    assert "h1" not in errors


def test_each_batch_sees_other_points_and_the_same_ones_again():
    data = antiderivatives(4)
    batch, choose = data.batch([0, 1]), RandomPoints(7)
    seen = choose(batch, [0, 1], seed=0, epoch=0)
    again = choose(batch, [0, 1], seed=0, epoch=0)
    assert torch.equal(seen.points, again.points)
    assert not torch.equal(seen.points, choose(batch, [0, 1], seed=0, epoch=1).points)
    rows = [(batch.points[:, 0] == p).nonzero().item() for p in seen.points[:, 0]]
    assert len(set(rows)) == 7
    assert torch.equal(seen.y, batch.y[..., rows])


def test_grids_and_too_many_points_are_refused():
    grid = from_arrays(torch.ones(3, 8, 8), torch.ones(3, 8, 8), periodic=(True, True))
    with pytest.raises(ValueError, match="expected scattered points"):
        RandomPoints(3).check(grid)
    with pytest.raises(ValueError, match="count is 26, expected 1 to 25"):
        RandomPoints(26).check(antiderivatives())
