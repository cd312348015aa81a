import builtins
import errno
import os

import pytest
import torch

from pdesolve.training import CheckpointError
from pdesolve.training.checkpoint import Checkpoint, Checkpoints

SMALL = Checkpoint({"w": torch.arange(6.0).reshape(2, 3)}, {"step": 7, "rate": 0.1})


def saved(folder, *steps):
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(step, Checkpoint({"w": torch.full((64,), float(step))}, {"step": step}))
    return checkpoints


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64],
)
def test_checkpoint_comes_back_as_written(tmp_path, device, dtype):
    tensor = torch.arange(12).reshape(3, 4).to(dtype).to(device)
    whole = {"all": tensor, "transposed": tensor.T, "scalar": tensor[1, 1], "same": tensor}
    state = {"loss": 0.1 + 0.2, "nothing": None, "deep": [{"a": True}], "word": "ß"}
    Checkpoint(whole, state).write(tmp_path / "c.safetensors")
    read = Checkpoint.read(tmp_path / "c.safetensors")
    assert read.state == state
    assert set(read.tensors) == set(whole)
    for name, expected in whole.items():
        assert read.tensors[name].dtype == dtype
        assert torch.equal(read.tensors[name], expected.cpu())


def test_only_the_newest_two_are_kept(tmp_path):
    checkpoints = saved(tmp_path, 5, 10, 100)
    assert [file.name for file in checkpoints.files()] == [
        "step-0000000100.safetensors",
        "step-0000000010.safetensors",
    ]
    assert checkpoints.newest().state == {"step": 100}


def test_every_truncation_falls_back_to_the_previous_with_a_warning(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    newest = checkpoints.files()[0]
    content = newest.read_bytes()
    for part in range(64):
        newest.write_bytes(content[: len(content) * part // 64])
        with pytest.warns(UserWarning, match="falling back to the previous"):
            assert checkpoints.newest().state == {"step": 1}


def test_every_flipped_byte_is_found(tmp_path):
    path = tmp_path / "c.safetensors"
    SMALL.write(path)
    content = path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            read = Checkpoint.read(path)
        except CheckpointError:
            continue
        # A flip that changes nothing, such as padding of the header, may pass.
        assert read.state == SMALL.state
        assert torch.equal(read.tensors["w"], SMALL.tensors["w"])


def test_a_folder_of_damaged_checkpoints_is_refused(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    for file in checkpoints.files():
        file.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="cut short"),
        pytest.raises(CheckpointError, match="all checkpoints"),
    ):
        checkpoints.newest()


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").newest() is None


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch, call):
    checkpoints = saved(tmp_path, 1)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            full()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

    if call == "write":
        whole = builtins.open
        monkeypatch.setattr(
            builtins,
            "open",
            lambda path, *a: Full(whole(path, *a)) if "tmp" in path.suffix else whole,
        )
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="previous one is intact") as error:
        saved(tmp_path, 2)
    monkeypatch.undo()
    assert error.value.errno == errno.ENOSPC
    assert checkpoints.newest().state == {"step": 1}
    assert list(tmp_path.glob("*.tmp")) == []
