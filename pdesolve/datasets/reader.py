"""Open a data file or a folder of splits: in memory if it fits, read as needed otherwise."""

import os
from pathlib import Path
from typing import Literal

import torch

from .dataset import Dataset
from .errors import SplitError
from .file_source import FileSource
from .header import Header
from .shards import ordered
from .windows import Frames

Split = Literal["train", "valid", "test"]


def open_dataset(
    path: str | Path,
    *,
    split: Split | None = None,
    window: Frames | None = None,
    stride: int = 1,
    dtype: torch.dtype = torch.float32,
    in_memory: bool | Literal["auto"] = "auto",
    allow_partial: bool = False,
) -> Dataset:
    """Open stored samples for training or evaluation.

    Args:
        path: one .h5 file, or the folder of a set, which holds data/{train,valid,test}/*.h5.
        split: the part of a folder; None for a file.
        window: which stored times are inputs and which are targets: `AtTimes`, `Window` or
            `Pairs`; None is AtTimes("last"), from the input fields to the outputs at the last time.
        stride: keep every stride-th point of each axis.
        dtype: of the tensors.
        in_memory: read all samples now; "auto" does so if they take less than half of the free
            memory.
        allow_partial: open an unfinished file too, with the samples that it has.

    Raises:
        DataError: one of its kinds, naming the place and what to do.
    """
    path = Path(path)
    headers = [Header(file).usable(allow_partial=allow_partial) for file in _files(path, split)]
    if path.is_dir():
        headers = ordered(headers, allow_partial=allow_partial)
    source = FileSource(path, headers, stride=stride, dtype=dtype)
    size = len(source) * source.bytes_per_sample
    if in_memory is True or (in_memory == "auto" and size < _free_memory() / 2):
        return Dataset(source.loaded(), window=window)
    return Dataset(source, window=window)


def _files(path: Path, split: Split | None) -> list[Path]:
    if not path.is_dir():
        if split is not None:
            raise SplitError(
                f"split {split!r} of a single file",
                file=path,
                advice="leave split out, or divide it with pdesolve.datasets.split",
            )
        return [path]
    folders = sorted(p.name for p in path.glob("data/*") if any(p.glob("*.h5")))
    if split not in folders:
        raise SplitError(
            f"split {split!r}",
            file=path,
            allowed=f"one of {folders}" if folders else "data/{train,valid,test}/*.h5 inside",
        )
    return sorted((path / "data" / split).glob("*.h5"))


def _free_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
