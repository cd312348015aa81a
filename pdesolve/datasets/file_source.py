"""Samples read from files when they are asked for."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from ..grid import Grid
from . import schema
from .channels import Channel, stored_channels
from .errors import NonFiniteError, ResolutionError, SchemaError, SplitError
from .header import Header
from .memory_source import MemorySource
from .opening import damage_told, open_file
from .shards import joined_fixed, ordered
from .spec import FieldSpec

# What one read of a load into memory may take.
BLOCK_BYTES = 64 * 2**20


class FileSource:
    """Samples of one file, or of several in their order, read when asked for.

    A handle is opened on first use in each process and never inherited over a fork; copies and
    pickles leave handles behind. Rejected and unwritten samples are left out.
    """

    def __init__(
        self, path: Path, files: list[Path], *, stride: int, dtype: torch.dtype, allow_partial: bool
    ):
        headers = [Header(file).usable(allow_partial=allow_partial) for file in files]
        if path.is_dir():
            headers = ordered(headers, allow_partial=allow_partial)
            files = [header.file for header in headers]
        first = headers[0]
        _check_alike(headers)
        if not first.spec.by_role("output"):
            raise SchemaError("no output field", file=first.file, place=schema.ROLES)
        self.files = files
        self.path = path
        self.spec = first.spec
        self.grid = _strided(first, stride)
        self.provenance = first.provenance
        self.fixed = joined_fixed(headers)
        self.dtype = dtype
        self._channels = stored_channels(self.spec)
        # By (process, file) the handle, by (process, file, place) what is read from.
        self._opened: dict[tuple, Any] = {}
        self._space = (self.spec.grid.stride_slice(stride),) * self.spec.grid.dims
        # Which file and which row of it each sample is.
        self._file = np.repeat(np.arange(len(files)), [len(h.written) for h in headers])
        self._row = np.concatenate([h.written for h in headers])
        self.records = schema.Records.joined([h.records.rows(h.written) for h in headers])
        if not len(self._row):
            raise SplitError("no sample may be read", file=files[0], allowed="at least one")

    def __len__(self) -> int:
        return len(self._row)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    @property
    def bytes_per_sample(self) -> int:
        """Memory that one sample's channels take."""
        return len(self._channels) * int(np.prod(self.grid.shape)) * self.dtype.itemsize

    def channels(self, rows: np.ndarray, numbers: np.ndarray) -> Tensor:
        """Return stored channels of stored samples, shape (b, c, *grid).

        Raises:
            ChecksumError: stored bytes are damaged.
            NonFiniteError: a field holds NaN or infinity.
        """
        if (numbers == numbers[0]).all():
            return self._read(rows, numbers[0])
        values = torch.empty((*numbers.shape, *self.grid.shape), dtype=self.dtype)
        kinds, kind = np.unique(numbers, axis=0, return_inverse=True)
        for k, wanted in enumerate(kinds):
            places = np.flatnonzero(kind.reshape(-1) == k)
            values[places] = self._read(rows[places], wanted)
        return values

    def mask(self, rows: np.ndarray) -> Tensor | None:
        """Return the masks of stored samples, shape (b, 1, *grid)."""
        if schema.MASK not in self.fixed:
            return None
        stored = self.fixed[schema.MASK]
        if stored.ndim == self.grid.dims:
            values = np.broadcast_to(stored, (len(rows), *stored.shape))
        else:
            values = stored[rows]
        values = _owned(values[(slice(None), *self._space)])
        return torch.from_numpy(values)[:, None].to(self.dtype)

    def loaded(self) -> MemorySource:
        """Read all samples into memory, block by block: the peak is the samples and one block."""
        block = max(1, BLOCK_BYTES // self.bytes_per_sample)
        whole = torch.empty((len(self), len(self._channels), *self.grid.shape), dtype=self.dtype)
        for start in range(0, len(self), block):
            rows = np.arange(start, min(start + block, len(self)))
            self._read(rows, np.arange(len(self._channels)), whole[start : rows[-1] + 1])
        return MemorySource(
            whole,
            self.mask(np.arange(len(self))),
            self.spec,
            self.grid,
            self.path,
            self.provenance,
            self.records,
            self.fixed,
        )

    def _read(self, rows: np.ndarray, numbers: np.ndarray, into: Tensor | None = None) -> Tensor:
        """The same channels of all these samples, each value copied once."""
        values = into
        if values is None:
            values = torch.empty((len(rows), len(numbers), *self.grid.shape), dtype=self.dtype)
        wanted: dict[FieldSpec, list[tuple[int, Channel]]] = {}
        for place, number in enumerate(numbers):
            channel = self._channels[number]
            wanted.setdefault(channel.field, []).append((place, channel))
        for one, chosen in wanted.items():
            frames = [channel.frame for _, channel in chosen]
            span = slice(min(frames), max(frames) + 1)
            for positions, stored in self._pieces(one, rows, span):
                stored = stored[(slice(None), *(slice(None),) * one.time_varying, *self._space)]
                for place, channel in chosen:
                    part = stored[:, channel.frame - span.start] if one.time_varying else stored
                    part = part[..., channel.component] if one.order else part
                    values[positions, place] = torch.from_numpy(part)
        # One pass over the data; a sum that overflows is looked at again.
        if not torch.isfinite(values.sum()):
            for one, chosen in wanted.items():
                places = [place for place, _ in chosen]
                self._check_finite(values[:, places], schema.location(one), rows)
        return values

    def _pieces(
        self, one: FieldSpec, rows: np.ndarray, span: slice
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield what is stored of a field in a span of times, with the positions that it is for."""
        place = schema.location(one)
        frames = (span,) * one.time_varying
        if not one.sample_varying:
            yield slice(None), self.fixed[place][frames][None]
            return
        files, lines = self._file[rows], self._row[rows]
        # Neighbours in a file are read at once.
        breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(lines) != 1)) + 1
        ends = [0, *breaks.tolist(), len(lines)]
        for start, stop in itertools.pairwise(ends):
            first, number = int(lines[start]), int(files[start])
            wanted = slice(first, first + stop - start)
            where = f"{place}, samples {first} to {wanted.stop - 1}"
            with damage_told(self.files[number], where):
                values = self._stored(number, place)[(wanted, *frames)]
            yield slice(start, stop), values

    def _stored(self, number: int, place: str) -> h5py.Dataset | np.memmap:
        # By process: HDF5's state must not be shared over a fork. The parent's entries stay in
        # the dictionary, since closing its file here would release the parent's lock.
        key = (os.getpid(), number, place)
        if key not in self._opened:
            file = self._opened.get(key[:2]) or open_file(self.files[number])
            data = schema.dataset(file, place)
            # Looking a data set up costs as much as reading a sample, so it is kept; plain bytes
            # are mapped, which is 4 times as fast as reading them through HDF5.
            mapped = data.chunks is None and data.id.get_offset() is not None
            self._opened |= {key[:2]: file, key: _mapped(data) if mapped else data}
        return self._opened[key]

    def _check_finite(self, values: Tensor, place: str, rows: np.ndarray) -> None:
        wrong = ~torch.isfinite(values)
        if wrong.any():
            sample = int(wrong.flatten(1).any(1).nonzero()[0])
            number = self._file[rows[sample]]
            raise NonFiniteError(
                f"sample {self._row[rows[sample]]} has {int(wrong[sample].sum())} values "
                "that are NaN or infinite",
                file=self.files[number],
                place=place,
                allowed="finite numbers",
                advice="list all with `pdesolve data verify FILE`, then generate again",
            )


def _mapped(data: h5py.Dataset) -> np.memmap:
    # Copy on write: torch wants memory that it may write to, and the file stays as it is.
    return np.memmap(data.file.filename, data.dtype, "c", data.id.get_offset(), data.shape)


def _owned(values: np.ndarray) -> np.ndarray:
    """Contiguous and writable, as torch wants it; copies only if it must."""
    return np.require(values, requirements=["C", "W"])


def _check_alike(headers: list[Header]) -> None:
    first = headers[0]
    for other in headers[1:]:
        wrong = first.spec.differences(other.spec)
        dims = first.spec.grid.dims
        for path, here in first.fixed.items():
            there = other.fixed.get(path, np.empty(0))
            of_samples = path == schema.MASK and here.ndim == there.ndim == dims + 1
            if not of_samples and not np.array_equal(here, there):
                wrong.append(f"{path} differs")
        if wrong:
            raise SchemaError("; ".join(wrong), file=other.file, allowed=f"as in {first.file.name}")


def _strided(header: Header, stride: int) -> Grid:
    try:
        return header.spec.grid.strided(stride)
    except ValueError as error:
        raise ResolutionError(str(error), file=header.file) from error
