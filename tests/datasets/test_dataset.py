import copy
import json
import pickle

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    SplitError,
    from_arrays,
    open_dataset,
)


@pytest.fixture(params=[True, False], ids=["memory", "file"])
def dataset(request, stored):
    return open_dataset(stored, in_memory=request.param)


def test_attributes_tell_the_channels(kinds, dataset):
    assert dataset.name == "kinds"
    assert dataset.grid == kinds.grid
    assert dataset.times == (0.0,)
    assert dataset.input_names == ("coefficient", "velocity_x", "velocity_y", "distance")
    assert dataset.output_names == ("solution",)
    assert dataset.condition_names == ("viscosity",)
    assert (dataset.in_channels, dataset.out_channels, dataset.condition_dim) == (4, 1, 1)
    assert dataset.units["velocity_y"] == "m/s"
    assert dataset.equation_parameters == {"high": 0.36, "low": 0.02}
    assert dataset.seeds == [100 + index for index in range(7)]
    assert "7 samples" in repr(dataset)


@pytest.mark.parametrize("indices", [[6, 0], torch.tensor([6, 0]), np.array([6, 0])])
def test_indices_may_be_of_any_kind(kinds, dataset, indices):
    batch = dataset.batch(indices)
    assert np.array_equal(batch.y[0, 0].numpy(), kinds.sample(6)["solution"])
    assert np.array_equal(batch.y[1, 0].numpy(), kinds.sample(0)["solution"])
    assert batch.grid == kinds.grid
    assert batch.condition_names == ("viscosity",)


@pytest.mark.parametrize("indices", [[-1], [7], [0, 7], []])
def test_index_outside_is_refused(dataset, indices):
    with pytest.raises(IndexError, match="0 to 6"):
        dataset.batch(indices)


def test_subset_of_a_subset_picks_among_its_own(kinds, dataset):
    part = dataset.subset([5, 1, 3]).subset([2, 0])
    assert len(part) == 2
    assert part.seeds == [103, 105]
    assert torch.equal(part.batch([1]).y, dataset.batch([5]).y)
    assert part.data_hash == dataset.subset([3, 5]).data_hash != dataset.data_hash


@pytest.mark.parametrize("indices", [[], [7], [-1, 0]])
def test_empty_or_foreign_subset_is_refused(dataset, indices):
    with pytest.raises(SplitError, match="0 to 6"):
        dataset.subset(indices)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_give_the_same_batches(dataset, duplicate):
    dataset.batch([0])
    other = duplicate(dataset)
    assert torch.equal(other.batch([4, 2]).x, dataset.batch([4, 2]).x)
    assert other.data_hash == dataset.data_hash


def test_metadata_is_json(dataset):
    metadata = json.loads(json.dumps(dataset.metadata()))
    assert metadata["data_hash"] == dataset.data_hash
    assert metadata["provenance"]["generator"] == "tests"
    assert Grid(**metadata["grid"]) == dataset.grid


def test_normalization_is_mean_and_spread_of_each_channel(kinds, dataset):
    part = dataset.subset([1, 2, 6])
    chosen = [kinds.sample(index) for index in (1, 2, 6)]
    velocity = np.stack([one["velocity"] for one in chosen]).astype("f8")
    found = part.normalization()
    assert found["x_mean"].dtype == torch.float32
    assert np.allclose(found["x_mean"][1:3], velocity.mean((0, 1, 2)), rtol=1e-6)
    assert np.allclose(found["x_std"][1:3], velocity.std((0, 1, 2)), rtol=1e-6)
    assert np.allclose(found["x_mean"][3], kinds.distance.mean(), rtol=1e-6)
    assert found["y_std"].shape == (1,)


def masked(tmp_path, mask, fields):
    spec = DatasetSpec(
        "m", Grid((3, 4), 1.0, True), (FieldSpec("a", "input"), FieldSpec("u", "output"))
    )
    with DatasetWriter(tmp_path / "m.h5", spec, 2, provenance={}, mask=mask) as writer:
        for index in range(2):
            writer.write(index, {name: values[index] for name, values in fields.items()}, seed=0)
        return writer.finish()


def test_a_mask_among_the_inputs_stays_zero_and_one():
    x = torch.rand(5, 2, 4, 4)
    x[:, 1] = (x[:, 1] > 0.3).float()
    data = from_arrays(x, x[:, :1], periodic=(False, False), input_names=("source", "mask"))
    values = data.normalization()
    assert values["x_mean"][1] == 0 and values["x_std"][1] == 1
    assert values["x_mean"][0] == pytest.approx(x[:, 0].mean().item(), rel=1e-5)


def test_normalization_counts_points_inside_the_mask(tmp_path):
    mask = np.zeros((2, 3, 4), bool)
    mask[0, 0, :2] = mask[1, 1, :2] = True
    u = np.full((2, 3, 4), 99.0)
    u[0, 0, :2], u[1, 1, :2] = (1, 3), (5, 7)
    found = open_dataset(masked(tmp_path, mask, {"a": np.full_like(u, 2.5), "u": u}))
    values = found.normalization()
    assert values["y_mean"].tolist() == [4.0]
    assert values["y_std"].tolist() == pytest.approx([5**0.5])
    # A constant channel is divided by 1, not by 0.
    assert (values["x_mean"].tolist(), values["x_std"].tolist()) == ([2.5], [1.0])


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
def test_mask_comes_with_the_batch(tmp_path, each, in_memory):
    mask = np.random.default_rng(0).integers(0, 2, (2, 3, 4)).astype(bool)
    mask[:, 0, 0] = True
    fields = {"a": np.ones((2, 3, 4)), "u": np.ones((2, 3, 4))}
    path = masked(tmp_path, mask if each else mask[0], fields)
    batch = open_dataset(path, in_memory=in_memory).batch([1, 0])
    expected = mask[[1, 0]] if each else mask[[0, 0]]
    assert batch.mask.dtype == torch.float32
    assert np.array_equal(batch.mask[:, 0].numpy(), expected)
