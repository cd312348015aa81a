from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from pdesolve import Grid
from pdesolve.cli.failures import UsageError
from pdesolve.cli.sets import open_sets, residual_of, sized
from pdesolve.datasets import from_arrays
from pdesolve.pde import Darcy


@pytest.fixture
def config(with_data):
    path = str(with_data.folder / "data/darcy_demo")
    return OmegaConf.create(
        {"dataset": {"name": "darcy_demo", "path": path, "stride": 2, "test_strides": [1]}}
    )


def test_test_sets_are_labelled_by_their_points(config):
    sets = open_sets(config)
    assert list(sets.test) == ["", "@17"]
    assert sets.test["@17"].grid.shape == (17, 17)
    assert len(sets.valid) == 4


def test_a_holdout_is_the_end_of_the_training_split(config):
    config.dataset.holdout = 5
    sets = open_sets(config)
    assert (len(sets.train), len(sets.valid)) == (7, 5)


def test_the_residual_of_a_stored_solution_is_small(config):
    dataset = open_sets(config).test["@17"]
    batch = dataset.batch(range(4))
    assert residual_of(dataset)(batch, batch.y).max() < 1e-4


def test_the_residual_of_a_recorded_flow_is_small_and_needs_all_times(with_flow):
    dataset = {
        "name": "navier_stokes_demo",
        "path": str(with_flow.folder / "data/navier_stokes_demo"),
        "stride": 1,
        "window": {"_target_": "pdesolve.datasets.AtTimes", "which": "all"},
    }
    config = OmegaConf.create({"dataset": dataset})
    test = open_sets(config).test[""]
    batch = test.batch([0, 1])
    assert residual_of(test)(batch, batch.y).max() < 1e-3
    assert residual_of(test)(batch, batch.y.roll(1, 1)).min() > 0.1
    del config.dataset["window"]
    assert residual_of(open_sets(config).test[""]) is None


def test_a_holdout_of_windows_is_whole_trajectories(with_flow):
    dataset = {
        "name": "navier_stokes_demo",
        "path": str(with_flow.folder / "data/navier_stokes_demo"),
        "stride": 1,
        "holdout": 1,
        "window": {"_target_": "pdesolve.datasets.Window", "inputs": 2, "outputs": 1},
    }
    sets = open_sets(OmegaConf.create({"dataset": dataset}))
    assert (sets.train.trajectories, len(sets.train), len(sets.valid)) == (2, 6, 3)


def test_unknown_equations_have_no_residual():
    x = torch.ones(2, 1, 4, 4)
    assert residual_of(from_arrays(x, x, grid=Grid((4, 4), 1.0, False))) is None


def test_a_stored_sub_grid_has_no_residual(config):
    dataset = open_sets(config).test[""]
    dataset.grid = Grid((9, 9), 1.0, False, offset=0.01)
    assert dataset.equation == Darcy.__name__
    assert residual_of(dataset) is None


def sized_dataset(**dataset):
    given = {"name": "a", "path": "data/a", "samples": {"train": 500}, "stride": 5}
    smoke = {"samples": {"train": 8}, "replace": {"times": [1, 2]}}
    config = OmegaConf.create({"size": "smoke", "dataset": {**given, "smoke": smoke, **dataset}})
    OmegaConf.set_struct(config, True)
    return sized(config)


def test_the_small_size_takes_its_own_keys_and_folder():
    small = sized_dataset()
    assert small.samples == {"train": 8}
    assert (small.path, small.stride, small.replace.times) == ("data/a_smoke", 5, [1, 2])


def test_the_small_size_keeps_a_folder_that_was_named():
    assert sized_dataset(path="elsewhere").path == "elsewhere"


def test_what_was_typed_wins_over_the_small_size(monkeypatch):
    typed = ["size=smoke", "dataset.samples={train: 500}", "+dataset.stride=5"]
    overrides = SimpleNamespace(overrides=SimpleNamespace(task=typed))
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: overrides)
    assert sized_dataset().samples == {"train": 500}


def test_a_set_without_a_small_size_says_so():
    with pytest.raises(UsageError, match=r"size is 'smoke', expected one of \['full'\]"):
        sized_dataset(smoke=None)
