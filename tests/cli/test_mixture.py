import json

import h5py
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from pdesolve import Grid, load
from pdesolve.cli.evaluate import mixture_sets
from pdesolve.cli.failures import UsageError
from pdesolve.cli.mixture import as_member
from pdesolve.cli.sets import open_sets
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Pairs,
    open_dataset,
    write_manifest,
)
from pdesolve.operators import ScOT


def write_set(folder, splits):
    spec = DatasetSpec(
        folder.name,
        Grid((4,), 1.0, True),
        (FieldSpec("u", "output", time_varying=True),),
        times=(0.0, 1.0, 2.0),
    )
    for number, (split, samples) in enumerate(splits.items()):
        path = folder / "data" / split / f"{folder.name}.h5"
        path.parent.mkdir(parents=True)
        with DatasetWriter(path, spec, samples, provenance={}) as writer:
            for index in range(samples):
                writer.write(
                    index, {"u": np.full((3, 4), 10.0 * number + index)}, seed=10 * number + index
                )
            writer.finish()
    write_manifest(folder)


@pytest.fixture
def config(tmp_path):
    write_set(tmp_path / "first", {"train": 3, "valid": 1, "test": 1})
    write_set(tmp_path / "second", {"train": 2, "valid": 1})
    return OmegaConf.create(
        {
            "dataset": {
                "name": "both",
                "stride": 1,
                "window": {"_target_": "pdesolve.datasets.Pairs"},
                "members": [
                    {"name": "first", "path": str(tmp_path / "first"), "weight": 3.0},
                    {"name": "second", "path": str(tmp_path / "second"), "time_scale": 2.0,
                     "train_samples": 1, "shift": {"u": 0.5}},
                ],
                "statistics": {"u": [1.0, 2.0]},
                "horizon": [[0, 1.0], [2, 2.0]],
            }
        }
    )  # fmt: skip


def test_members_of_a_config_become_a_mixture(config):
    train = open_sets(config).train
    assert [len(one.dataset) for one in train.members] == [18, 6]
    assert [one.weight for one in train.members] == [3.0, None]
    assert train.batch([23]).condition.tolist() == [[0.0]]
    assert train.batch([20]).condition.tolist() == [[1.0]]
    assert train.batch([20]).x.unique().tolist() == [-0.5]
    assert train.normalization()["x_mean"].tolist() == [1.0]
    assert train.horizon == ((0, 1.0), (2, 2.0))


def test_only_training_grows_its_horizon_and_needs_each_split(config):
    sets = open_sets(config)
    assert len(sets.valid) == 12
    assert sets.valid.horizon is None
    assert sets.test == {}


def test_new_data_are_seen_as_their_member_was(config, tmp_path):
    window = Pairs()
    first, second = (
        open_dataset(tmp_path / name, split="valid", window=window) for name in ("first", "second")
    )
    assert as_member(first, config.dataset) is first
    seen = as_member(second, config.dataset)
    # From time 0 to 2 at half the speed, 0.5 less than the stored 10.
    batch = seen.batch([2])
    assert (batch.condition.tolist(), batch.x.unique().tolist()) == ([[1.0]], [9.5])
    assert seen.seeds == second.seeds == [10] * 6
    config.dataset.members[1].name = "third"
    with pytest.raises(UsageError, match=r"second is none of the members .*differ in"):
        as_member(second, config.dataset)
    config.dataset.members = config.dataset.members[1:]
    assert as_member(first, config.dataset).batch([2]).condition.tolist() == [[1.0]]


def test_a_single_set_grows_its_horizon_too(config, tmp_path):
    config.dataset = {
        "name": "first", "path": str(tmp_path / "first"), "stride": 1, "train_samples": 2,
        "window": config.dataset.window, "horizon": [[0, 1.0], [2, 2.0]],
    }  # fmt: skip
    sets = open_sets(config)
    leads = [sets.train.batch(sets.train.order(0, epoch)).condition.max() for epoch in (0, 2)]
    assert (len(sets.train), leads) == (12, [1.0, 2.0])
    assert len(sets.valid) == 6


def test_a_holdout_of_a_mixture_is_refused(config):
    config.dataset.holdout = 1
    with pytest.raises(UsageError, match="holdout is 1 for the mixture both"):
        open_sets(config)


def test_a_missing_member_says_how_it_is_made(config):
    config.dataset.members[1].path = "nowhere"
    config.dataset.members[1].made_by = "pdesolve data convert X.nc"
    with pytest.raises(
        UsageError,
        match=r"no dataset second at nowhere: make it with `pdesolve data .* with its path in",
    ):
        open_sets(config)


def test_the_first_trajectories_of_each_member_train(config):
    config.dataset.train_samples = 2
    del config.dataset.members[1]["train_samples"]
    sets = open_sets(config)
    assert [one.dataset.trajectories for one in sets.train.members] == [2, 2]
    assert [one.dataset.trajectories for one in sets.valid.members] == [1, 1]


def asked(**changes):
    return OmegaConf.create({"split": "valid", "path": None, "stride": None} | changes)


def test_mixture_is_evaluated_on_a_split_of_all_members(config):
    sets = mixture_sets(config.dataset, asked())
    assert len(sets.test[""]) == 12
    assert len(sets.train) == 24


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"split": "test"}, "second have no split 'test'"), ({"path": "data/x"}, "expected neither")],
)
def test_mixture_elsewhere_is_refused(config, changes, words):
    with pytest.raises(UsageError, match=words):
        mixture_sets(config.dataset, asked(**changes))


def write_published(folder):
    """A small scOT of four channels, in the files of the published ones."""
    model = ScOT(4, 4, 12, (2,), (3,), patch=2, window=2, skips=(0,), domain=Grid((8, 8), 1, True))
    told = {
        "num_channels": 4, "num_out_channels": 4, "image_size": 8, "patch_size": 2,
        "embed_dim": 12, "depths": [2], "num_heads": [3], "skip_connections": [0],
        "window_size": 2, "use_conditioning": True,
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(told))
    save_file(model.state_dict(), folder / "model.safetensors")


def test_helmholtz_goes_from_its_file_to_a_model_that_was_fine_tuned(pdesolve):
    write_published(pdesolve.folder / "published")
    random = np.random.default_rng(0)
    with h5py.File(pdesolve.folder / "Helmholtz.h5", "w") as file:
        # So many that the published shares leave one to validate.
        for k in range(160):
            file[f"Sample_{k}/a"], file[f"Sample_{k}/u"] = random.random((2, 8, 8), "f4")
            file[f"Sample_{k}/bc"] = 0.25 + k / 1000
    converted = pdesolve("data", "convert", "Helmholtz.h5", "--output", "data/helmholtz")
    assert converted.code == 0, converted.err
    run = pdesolve(
        "train", "experiment=poseidon/helmholtz", "operator.source=published", "trainer.epochs=1",
        "progress=false",
    )  # fmt: skip
    assert run.code == 0, run.err
    model = load(run.run / "model").eval()
    a, bc = torch.rand(3, 1, 8, 8), torch.full((3, 1, 8, 8), 0.3)
    with torch.no_grad():
        inner = model.operator(torch.cat([a - 1, bc], 1), torch.ones(3, 1))
        expected = 0.11523915668552 + 0.8279975746 * inner
        torch.testing.assert_close(model(torch.cat([a, bc], 1)), expected, rtol=1e-5, atol=1e-6)
        # The paper's error: relative L1 of normalised fields, the middle one of the test set.
        batch = open_dataset(pdesolve.folder / "data/helmholtz", split="test").batch(range(4))
        error, truth = model(batch.x) - batch.y, batch.y - 0.11523915668552
    ratios = (error.abs().sum((1, 2, 3)) / truth.abs().sum((1, 2, 3))).sort().values
    told = json.loads((run.run / "metrics.json").read_text())
    assert told["test/median_l1_normalized"] == pytest.approx(float(ratios[1:3].mean()), rel=1e-4)
