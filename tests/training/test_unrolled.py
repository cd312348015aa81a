"""The model multiplies by one number a, so that every loss and gradient has a formula."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from pdesolve import Batch, Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, Window, open_dataset
from pdesolve.training import Pushforward, Settings, Unrolled, fit, one_step

GRID = Grid((3,), 1.0, True)


class Factor(nn.Module):
    """û = a (newest frame), and what it was called with."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(float(a), dtype=torch.float64))
        self.seen = []

    def forward(self, x, condition=None):
        self.seen.append(x.shape[1] if condition is None else (x.shape[1], condition.shape[1]))
        return self.a * x[:, -1:]


def squared(prediction, target, *, grid, mask):
    return (prediction - target).square().mean()


def batch_of(x, y, **more):
    def field(values):
        return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1).expand(1, -1, 3)

    return Batch(field(x), field(y), GRID, **more)


def gradient(objective, a, batch):
    model = Factor(a)
    loss = objective(model, batch, squared)
    loss.backward()
    return float(loss.detach()), float(model.a.grad)


def test_unrolled_loss_is_the_mean_over_the_frames_of_a_rollout():
    # û = a^k: 2, 4, 8 against 1, 1, 1. Gradient: mean of 2 (a^k - 1) k a^(k-1).
    loss, slope = gradient(Unrolled(3), 2, batch_of([5.0, 1.0], [1.0, 1.0, 1.0]))
    assert loss == pytest.approx((1 + 9 + 49) / 3, rel=1e-12)
    assert slope == pytest.approx((2 * 1 * 1 + 2 * 3 * 4 + 2 * 7 * 12) / 3, rel=1e-12)


def test_detached_gradient_takes_earlier_frames_as_given():
    # 2 (a û_{k-1} - 1) û_{k-1} with û = 1, 2, 4.
    loss, slope = gradient(Unrolled(3, detach_between=True), 2, batch_of([1.0], [1.0] * 3))
    assert loss == pytest.approx((1 + 9 + 49) / 3, rel=1e-12)
    assert slope == pytest.approx((2 * 1 * 1 + 2 * 3 * 2 + 2 * 7 * 4) / 3, rel=1e-12)


def test_unrolled_once_is_one_step():
    batch = batch_of([1.0, 3.0], [2.0])
    assert gradient(Unrolled(1), 2, batch) == gradient(one_step, 2, batch)


def test_pushforward_learns_on_its_own_input_and_on_truth():
    # û_1 = 2, û_2 = 4 held fixed: ½ (2 - 1)² + ½ (2 · 4 - 1)², slopes 2 · 1 · 1 and 2 · 7 · 4.
    loss, slope = gradient(Pushforward(3), 2, batch_of([1.0], [1.0, 50.0, 1.0]))
    assert loss == pytest.approx((1 + 49) / 2, rel=1e-12)
    assert slope == pytest.approx((2 + 56) / 2, rel=1e-12)


def test_fixed_channels_and_condition_reach_every_call():
    model = Factor(2)
    batch = batch_of([7.0, 1.0], [2.0, 4.0], condition=torch.ones(1, 4), condition_names=("p",) * 4)
    assert Unrolled(2, fixed=1)(model, batch, squared) == 0
    assert model.seen == [(2, 4), (2, 4)]


@pytest.mark.parametrize(
    ("objective", "arguments", "message"),
    [(Unrolled, {"steps": 0}, "at least 1"), (Pushforward, {"steps": 1}, "one_step")],
)
def test_too_few_steps_are_refused(objective, arguments, message):
    with pytest.raises(ValueError, match=message):
        objective(**arguments)


@pytest.fixture
def doubling(tmp_path):
    """Four trajectories u_k = s 2^k, k = 0 ... 5, as windows of one frame to the next."""
    spec = DatasetSpec(
        "d", GRID, (FieldSpec("u", "output", time_varying=True),), times=tuple(range(6))
    )
    with DatasetWriter(tmp_path / "d.h5", spec, 4, provenance={}, dtype="float64") as writer:
        for index in range(4):
            u = (index + 1) * 2.0 ** np.arange(6)[:, None] * np.ones(3)
            writer.write(index, {"u": u}, seed=index)
        path = writer.finish()
    return open_dataset(path, window=Window(1, 1), dtype=torch.float64)


def test_fit_lengthens_the_targets_and_judges_rollouts(doubling):
    model = Factor(1.5)
    result = fit(
        model,
        doubling,
        doubling,
        objective=Unrolled(3),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.0),
        settings=Settings(epochs=1, batch_size=12),
        progress=False,
    )
    # Targets of the newest frame u: 2u, 4u, 8u. Predicted: 1.5 u, 2.25 u, 3.375 u.
    errors = np.array([2 - 1.5, 4 - 2.25, 8 - 3.375])
    truth = np.array([2.0, 4.0, 8.0])
    line = result.history[0]
    assert line["train/loss"] == pytest.approx((errors / truth).mean(), rel=1e-12)
    whole = np.linalg.norm(errors) / np.linalg.norm(truth)
    assert line["valid/l2"] == pytest.approx(whole, rel=1e-12)
    assert line["step"] == 1  # 4 trajectories of 6 frames make 12 windows of 1 + 3.


@pytest.mark.parametrize("objective", [Unrolled(2), Pushforward(2)])
def test_training_through_the_rollout_finds_the_factor(doubling, objective):
    model = Factor(1.5)
    fit(
        model,
        doubling,
        objective=objective,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.02),
        settings=Settings(epochs=30, batch_size=4),
        progress=False,
    )
    assert float(model.a.detach()) == pytest.approx(2, abs=0.02)


def test_other_fixed_channels_than_the_data_have_are_refused(doubling):
    with pytest.raises(ValueError, match=r"fixed=1, expected 0.*dataset\.fixed_channels"):
        fit(Factor(1), doubling, objective=Unrolled(2, fixed=1))


class Shifted(Factor):
    """Factor with a buffer that the gradient needs, as in `Normalized`."""

    def __init__(self, a):
        super().__init__(a)
        self.register_buffer("one", torch.ones((), dtype=torch.float64))

    def forward(self, x, condition=None):
        return super().forward(x, condition) * self.one


SCRIPT = """
    import importlib.util, torch
    from pdesolve.datasets import Window, open_dataset
    from pdesolve.training import Settings, Unrolled, fit

    spec = importlib.util.spec_from_file_location("here", {here!r})
    here = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(here)
    data = open_dataset({path!r}, window=Window(1, 1), dtype=torch.float64)
    {call}
"""
CALL = """fit(
        here.Shifted(1.5), data, data, folder={folder!r}, objective=Unrolled(3),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
        settings=Settings(epochs=2, batch_size={batch}), progress=False,
    )"""


@pytest.mark.distributed
def test_two_processes_roll_out_as_one_does(doubling, tmp_path):
    histories = []
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, command, batch in (("alone", [], 12), ("shared", launcher, 6)):
        folder, script = tmp_path / name, tmp_path / f"{name}.py"
        call = CALL.format(folder=str(folder), batch=batch)
        code = SCRIPT.format(here=__file__, path=str(doubling.path), call=call)
        script.write_text(textwrap.dedent(code))
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, *command, str(script)]
        ended = subprocess.run(
            command, env=environment, stderr=subprocess.PIPE, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        lines = (folder / "log.jsonl").read_text().splitlines()
        histories.append([json.loads(line) for line in lines])
    for shared, alone in zip(*reversed(histories), strict=True):
        for name in ("train/loss", "valid/l2"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-12)
