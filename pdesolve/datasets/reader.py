"""Open a data file or a folder of files: in memory if they fit, read as needed otherwise."""

import os
from pathlib import Path
from typing import Literal

import h5py
import torch

from .dataset import Dataset
from .errors import SplitError, UnknownFormatError
from .file_source import FileSource
from .foreign import Foreign
from .formats import opened
from .header import Header
from .shards import ordered
from .windows import Frames

Split = Literal["train", "valid", "test"]
# The Well spells it .hdf5.
_HDF5 = "*.h*5"


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
        path: one file, or the folder of a set, which holds data/{train,valid,test}/*.h5. Files of
            The Well, PDEBench and PDEgym are read where they lie; a folder may hold the chunk files
            of one set.
        split: the part of a folder, or of another package's set as its authors divide it; None for
            a file, or for all of such a set.
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
    headers = _headers(path, split, allow_partial=allow_partial)
    source = FileSource(path, headers, stride=stride, dtype=dtype)
    size = len(source) * source.bytes_per_sample
    if in_memory is True or (in_memory == "auto" and size < _free_memory() / 2):
        return Dataset(source.loaded(), window=window)
    return Dataset(source, window=window)


def _headers(
    path: Path, split: Split | None, *, allow_partial: bool
) -> list[Header] | list[Foreign]:
    if (loose := _loose(path)) and (foreign := opened(loose, split)):
        return foreign
    files = _files(path, split)
    try:
        headers = [Header(file).usable(allow_partial=allow_partial) for file in files]
    except UnknownFormatError:
        if foreign := opened(files, split):
            return foreign
        raise
    if path.is_dir():
        return ordered(headers, allow_partial=allow_partial)
    if split is not None:
        raise SplitError(
            f"split {split!r} of a single file",
            file=path,
            advice="leave split out, or divide it with pdesolve.datasets.split",
        )
    return headers


def _files(path: Path, split: Split | None) -> list[Path]:
    if not path.is_dir():
        return [path]
    folders = sorted(p.name for p in path.glob("data/*") if any(p.glob(_HDF5)))
    if split not in folders:
        raise SplitError(
            f"split {split!r}",
            file=path,
            allowed=f"one of {folders}" if folders else "data/{train,valid,test}/*.h5 inside",
        )
    return sorted((path / "data" / split).glob(_HDF5))


def _loose(path: Path) -> list[Path]:
    """HDF5 files that lie in a folder without splits."""
    if not path.is_dir() or (path / "data").is_dir():
        return []
    return [file for file in sorted(path.iterdir()) if file.is_file() and h5py.is_hdf5(file)]


def _free_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
