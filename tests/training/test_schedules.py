import math
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from pdesolve.training import AdamW, OneCycle, Settings, StepDecay, Torch, fit


def rates(schedule, steps, lr=2.0):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = schedule.build(optimizer, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_one_cycle_follows_its_formula():
    seen = rates(OneCycle(warmup=0.2, start=0.1, end=0.05), 10)
    up = [0.1 + 0.9 * (1 - math.cos(math.pi * s / 2)) / 2 for s in range(2)]
    down = [0.05 + 0.95 * (1 + math.cos(math.pi * s / 8)) / 2 for s in range(9)]
    assert seen == pytest.approx([2 * f for f in up + down], rel=1e-12)


def test_one_cycle_ends_at_zero_after_the_last_step_only():
    seen = rates(OneCycle(), 7)
    assert seen[-1] == 0
    assert min(seen[:-1]) > 0


def test_one_cycle_without_warmup_begins_at_the_full_rate():
    assert rates(OneCycle(warmup=0.0), 5)[0] == 2.0


def test_one_cycle_can_be_constant():
    assert set(rates(OneCycle(warmup=0.0, start=1.0, end=1.0), 5)) == {2.0}


@pytest.mark.parametrize("warmup", [-0.1, 1.0])
def test_warmup_outside_the_run_is_refused(warmup):
    with pytest.raises(ValueError, match="warmup is"):
        OneCycle(warmup=warmup)


def test_step_decay_halves_after_each_period():
    assert rates(StepDecay(every=2, factor=0.5), 5) == [2, 2, 1, 1, 0.5, 0.5]
    assert StepDecay().per == "epoch"


def test_any_torch_scheduler_serves():
    schedule = Torch(partial(CosineAnnealingLR, T_max=4), per="step")
    expected = [1 + math.cos(math.pi * s / 4) for s in range(5)]
    assert rates(schedule, 4) == pytest.approx(expected, abs=1e-12)


def test_reduce_on_plateau_hears_the_validation_error(tiny):
    # Too small a rate to change a weight: no epoch is better than the first.
    schedule = Torch(partial(ReduceLROnPlateau, factor=0.5, patience=0, eps=0.0))
    result = fit(
        tiny.TinyModel(dropout=0.0),
        tiny.tiny_set(),
        tiny.tiny_set(8, seed=1),
        optimizer=AdamW(lr=1e-12, weight_decay=0.0),
        schedule=schedule,
        settings=Settings(epochs=4, batch_size=24),
    )
    assert [line["rate"] for line in result.history] == [1e-12, 1e-12, 5e-13, 2.5e-13]
