import numpy as np
import pytest
import torch

from pdesolve.datasets import (
    IncompleteFileError,
    SchemaError,
    SplitError,
    open_dataset,
    reader,
)
from pdesolve.datasets.memory_source import MemorySource


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_holds_what_was_written(kinds, stored, in_memory, dtype):
    dataset = open_dataset(stored, in_memory=in_memory, dtype=dtype)
    batch = dataset.batch([5, 0, 3])
    assert batch.x.dtype == batch.y.dtype == batch.condition.dtype == dtype
    for position, index in enumerate([5, 0, 3]):
        sample = kinds.sample(index)
        x = np.stack([sample["coefficient"], *np.moveaxis(sample["velocity"], -1, 0)])
        assert np.array_equal(batch.x[position, :3].numpy(), x.astype(batch.x.numpy().dtype))
        assert np.allclose(batch.x[position, 3].numpy(), kinds.distance, atol=1e-7)
        assert np.array_equal(batch.y[position, 0].numpy(), sample["solution"])
        assert batch.condition[position].tolist() == [0.5 * index]


# 7 samples of 5 channels of 9 x 6 float32 points are 7560 bytes.
@pytest.mark.parametrize(("free", "memory"), [(2 * 7560 + 1, True), (2 * 7560, False)])
def test_auto_is_memory_below_half_of_what_is_free(stored, monkeypatch, free, memory):
    monkeypatch.setattr(reader, "_free_memory", lambda: free)
    assert isinstance(open_dataset(stored)._source, MemorySource) == memory


def test_unfinished_file_opens_only_when_asked(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        for index in (1, 4, 6):
            kinds.put(writer, index, rejected=index == 4)
    unfinished = tmp_path / "a.h5.tmp"
    with pytest.raises(IncompleteFileError, match="2 of 7 samples"):
        open_dataset(unfinished)
    dataset = open_dataset(unfinished, allow_partial=True)
    assert dataset.seeds == [101, 106]


def test_unfinished_file_without_samples_has_none_to_read(kinds, tmp_path):
    kinds.begin(tmp_path / "a.h5").__exit__(None, None, None)
    with pytest.raises(SplitError, match="no sample"):
        open_dataset(tmp_path / "a.h5.tmp", allow_partial=True)


@pytest.fixture
def folder(kinds, tmp_path):
    for part, name in (("train", "b"), ("train", "a"), ("test", "a")):
        kinds.write_all(tmp_path / "set" / "data" / part / f"{name}.h5")
    return tmp_path / "set"


def test_files_of_a_split_follow_each_other(kinds, folder):
    for in_memory in (True, False):
        dataset = open_dataset(folder, split="train", in_memory=in_memory)
        assert len(dataset) == 14
        batch = dataset.batch([8, 1, 6, 7])
        assert torch.equal(batch.y[0], batch.y[1])
        for position, index in enumerate([1, 1, 6, 0]):
            assert np.array_equal(batch.y[position, 0].numpy(), kinds.sample(index)["solution"])
    assert dataset.path == folder


@pytest.mark.parametrize("split", [None, "valid"])
def test_folder_lists_its_splits(folder, split):
    with pytest.raises(SplitError, match=r"one of \['test', 'train'\]"):
        open_dataset(folder, split=split)


def test_file_has_no_splits(stored):
    with pytest.raises(SplitError, match="single file"):
        open_dataset(stored, split="train")


def test_files_of_a_split_must_agree(kinds, folder):
    kinds.write_all(folder / "data/train/c.h5", constants={"distance": np.zeros((9, 6))})
    with pytest.raises(SchemaError, match=r"c\.h5.*distance differs.*as in a\.h5"):
        open_dataset(folder, split="train")
