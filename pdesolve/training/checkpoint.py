"""Checkpoints that are either whole or not there.

A checkpoint is one safetensors file whose header holds the state as JSON and a digest of all.
It is written beside its place, flushed to the disk and then renamed, so that a crash at any
moment leaves the previous one. Bits that flip later are found by the digest on reading.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import xxhash
from torch import Tensor

# Two: if the newest is damaged there is one to fall back on.
KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint file that is damaged or is none."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and JSON values."""

    tensors: Mapping[str, Tensor]
    state: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file at once or not at all.

        Raises:
            OSError: it could not be written, the disk being full for example; what lay at path
                is untouched.
        """
        # Copies on the CPU: safetensors takes neither shared nor strided memory.
        tensors = {
            name: tensor.detach().to("cpu", copy=True).contiguous()
            for name, tensor in self.tensors.items()
        }
        state = json.dumps(self.state)
        header = {"state": state, "digest": _digest(tensors, state)}
        _write_atomically(path, safetensors.torch.save(tensors, header))

    @staticmethod
    def read(path: Path) -> "Checkpoint":
        """Read a file that `write` made.

        Raises:
            CheckpointError: the file is cut short, changed, or no checkpoint.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state, digest = header["state"], header["digest"]
        except (safetensors.SafetensorError, KeyError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"checkpoint {path} cannot be read ({error}), expected a whole safetensors file "
                f"with a state and a digest: it was cut short or is no checkpoint"
            ) from error
        if _digest(tensors, state) != digest:
            raise CheckpointError(
                f"checkpoint {path} differs from its digest: it was changed after it was written"
            )
        return Checkpoint(tensors, json.loads(state))


class Checkpoints:
    """The checkpoints of one run: `step-*.safetensors`, the newest two, and `best.safetensors`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.best = folder / "best.safetensors"

    def files(self) -> list[Path]:
        """Return the files of states, newest first."""
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Write the state after `step` steps and delete what is too old.

        Raises:
            OSError: it could not be written; the previous ones are untouched.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.write(self.folder / f"step-{step:010d}.safetensors")
        for old in self.files()[KEPT:]:
            old.unlink()

    def save_best(self, weights: Checkpoint) -> None:
        """Write weights, named as in the model's state dict, as the best so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        weights.write(self.best)

    def newest(self) -> Checkpoint | None:
        """Return the newest whole state, with a warning for each damaged one; None if none is.

        Raises:
            CheckpointError: there are states, but all are damaged.
        """
        files = self.files()
        for file in files:
            try:
                return Checkpoint.read(file)
            except CheckpointError as error:
                warnings.warn(f"{error}; falling back to the previous one", stacklevel=2)
        if files:
            raise CheckpointError(
                f"all checkpoints in {self.folder} are damaged: delete the folder to start again"
            )
        return None


def _digest(tensors: Mapping[str, Tensor], state: str) -> str:
    digest = xxhash.xxh3_128(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(".tmp")
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise OSError(
            error.errno,
            f"checkpoint of {len(content)} bytes was not written ({error.strerror}); the previous "
            f"one is intact: make room and run again to go on from there",
            str(path),
        ) from error


def _sync_folder(folder: Path) -> None:
    # The new name is on the disk only when the folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
