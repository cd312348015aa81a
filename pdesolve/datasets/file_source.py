"""Samples read from files when they are asked for."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..grid import Grid
from . import schema
from .channels import Channel, stored_channels
from .errors import NonFiniteError, ResolutionError, SchemaError, SplitError
from .foreign import Foreign
from .handle import Handle
from .header import Header
from .memory_source import MemorySource
from .shards import joined_fixed
from .spec import FieldSpec
from .stored import Stored

# What one read of a load into memory may take.
BLOCK_BYTES = 64 * 2**20


class FileSource:
    """Samples of one file, or of several in their order, read when asked for.

    Checksums are verified once in each process and NaN is looked for once, when a sample is first
    read; a file that is changed after that, while it is in use, is not noticed unless it becomes
    shorter. A file is opened on first use in each process and never inherited over a fork; copies
    and pickles leave open files behind.

    Args:
        path: of the file or folder.
        headers: of the files. Rejected and unwritten samples are left out.
        stride: keep every stride-th point of each axis.
        dtype: of the tensors.

    Raises:
        SchemaError: the files disagree, or hold no outputs.
        SplitError: there is no sample.
        ResolutionError: the grid has no points at such a stride.
    """

    def __init__(
        self,
        path: Path,
        headers: Sequence[Header] | Sequence[Foreign],
        *,
        stride: int,
        dtype: torch.dtype,
    ):
        first = headers[0]
        _check_alike(headers)
        if not first.spec.by_role("output"):
            raise SchemaError("no output field", file=first.file, place=schema.ROLES)
        self.path = path
        self.spec = first.spec
        self.grid = _strided(first, stride)
        self.provenance = first.provenance
        self.dtype = dtype
        self.files = [header.file for header in headers]
        dims = self.spec.grid.dims
        self._headers = headers
        if isinstance(first, Foreign):
            self.fixed, self._stored = dict(first.fixed), first.stored
            if schema.MASK in self.fixed:
                masks = [one.fixed[schema.MASK] for one in headers]
                self.fixed[schema.MASK] = np.concatenate(masks)
        else:
            self.fixed = joined_fixed([one for one in headers if isinstance(one, Header)])
            fields = self.spec.fields
            self._stored = {one.name: Stored.by_this_package(one, dims) for one in fields}
        self._space = (self.spec.grid.stride_slice(stride),) * dims
        self._channels = stored_channels(self.spec)
        self._frames = np.array([channel.frame for channel in self._channels])
        self._grouped: dict[bytes, list[tuple[FieldSpec, int, slice]]] = {}
        # By process and file: HDF5's state must not be shared over a fork. The parent's entries
        # stay, since closing its file in a child would release the parent's lock.
        self._opened: dict[tuple[int, int], Handle] = {}
        # Which file and which row of it each sample is.
        self._file = np.repeat(np.arange(len(headers)), [len(h.written) for h in headers])
        self._row = np.concatenate([h.written for h in headers])
        self.records = schema.Records.joined([h.records.rows(h.written) for h in headers])
        if not len(self._row):
            raise SplitError("no sample may be read", file=first.file, allowed="at least one")
        # By field and component: the frames (n, t) that were found finite, and whether all were.
        self._examined: dict[tuple[str, int], np.ndarray] = {}
        self._finite: set[tuple[str, int]] = set()

    def __len__(self) -> int:
        return len(self._row)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    @property
    def bytes_per_sample(self) -> int:
        """Memory that one sample's channels take."""
        return len(self._channels) * int(np.prod(self.grid.shape)) * self.dtype.itemsize

    def channels(self, rows: np.ndarray, numbers: np.ndarray) -> Tensor:
        """Return stored channels of stored samples, shape (b, c, *grid); see `Source`.

        Raises:
            ChecksumError: stored bytes are damaged.
            TruncatedFileError: a file has become shorter since it was opened.
            NonFiniteError: a field holds NaN or infinity.
        """
        groups, times = self._groups(numbers[0]), self._frames[numbers]
        if len(groups) == 1:
            return self._part(rows, times, *groups[0])
        values = torch.empty((*numbers.shape, *self.grid.shape), dtype=self.dtype)
        for group in groups:
            values[:, group[2]] = self._part(rows, times, *group)
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
        values = np.require(values[(slice(None), *self._space)], requirements=["C", "W"])
        return torch.from_numpy(values)[:, None].to(self.dtype)

    def hashed(self, rows: np.ndarray) -> schema.Records:
        """Return the records, with the hashes of these samples; foreign samples are read for it."""
        hashes = self.records.hash.copy()
        for number, header in enumerate(self._headers):
            here = rows[self._file[rows] == number]
            if isinstance(header, Foreign):
                hashes[here] = header.hashes(self._row[here].tolist())
        return replace(self.records, hash=hashes)

    def loaded(self) -> MemorySource:
        """Read all samples into memory, block by block: the peak is the samples and one block."""
        block = max(1, BLOCK_BYTES // self.bytes_per_sample)
        whole = torch.empty((len(self), len(self._channels), *self.grid.shape), dtype=self.dtype)
        for start in range(0, len(self), block):
            rows = np.arange(start, min(start + block, len(self)))
            numbers = np.tile(np.arange(len(self._channels)), (len(rows), 1))
            whole[start : rows[-1] + 1] = self.channels(rows, numbers)
        return MemorySource(
            whole,
            self.mask(np.arange(len(self))),
            self.spec,
            self.grid,
            self.path,
            self.provenance,
            self.records,
            self.fixed,
            self.hashed,
        )

    def _part(
        self, rows: np.ndarray, times: np.ndarray, one: FieldSpec, component: int, columns: slice
    ) -> Tensor:
        """The columns that one component of a field makes."""
        frames = times[:, columns]
        if not one.sample_varying:
            values = self._fixed(one, component, frames)
            self._check_finite(values, one, rows)
            return values
        values = torch.from_numpy(self._gathered(one, component, rows, frames)).to(self.dtype)
        if (one.name, component) not in self._finite:
            self._examine(values, one, component, rows, frames)
        return values

    def _groups(self, numbers: np.ndarray) -> list[tuple[FieldSpec, int, slice]]:
        key = numbers.tobytes()
        if key not in self._grouped:
            self._grouped[key] = list(_groups([self._channels[number] for number in numbers]))
        return self._grouped[key]

    def _fixed(self, one: FieldSpec, component: int, frames: np.ndarray) -> Tensor:
        stored = self.fixed[schema.location(one)]
        stored = stored[frames] if one.time_varying else stored[None, None]
        stored = stored[..., component] if one.order else stored
        values = torch.from_numpy(stored[(slice(None), slice(None), *self._space)])
        # A copy: whoever changes a batch must not change the next one.
        whole = values.expand(*frames.shape, *self.grid.shape)
        return whole.to(self.dtype).clone(memory_format=torch.contiguous_format)

    def _gathered(
        self,
        one: FieldSpec,
        component: int,
        rows: np.ndarray,
        frames: np.ndarray,
    ) -> np.ndarray:
        """Frames (b, k) of samples (b,), from whatever files."""
        lines = self._row[rows]
        if len(self.files) == 1:
            return self._open(0).frames(one.name, component, lines, frames)
        numbers, places = np.unique(self._file[rows], return_inverse=True)
        pieces = []
        for k, number in enumerate(numbers.tolist()):
            here = places == k
            handle = self._open(number)
            pieces.append(handle.frames(one.name, component, lines[here], frames[here]))
        # Back into the order that was asked for.
        return np.concatenate(pieces)[np.argsort(np.argsort(places, kind="stable"))]

    def _open(self, number: int) -> Handle:
        key = (os.getpid(), number)
        if key not in self._opened:
            shape = self.grid.shape
            self._opened[key] = Handle(self.files[number], self._stored, shape, self._space)
        return self._opened[key]

    def _examine(
        self, values: Tensor, one: FieldSpec, component: int, rows: np.ndarray, frames: np.ndarray
    ) -> None:
        """Look for NaN unless these values were found finite before."""
        key, these = (one.name, component), (rows[:, None], frames)
        if key not in self._examined:
            self._examined[key] = np.zeros((len(self), len(self.spec.times)), bool)
        examined = self._examined[key]
        if not examined[these].all():
            self._check_finite(values, one, rows)
            examined[these] = True
        if examined.all():
            self._finite.add(key)

    def _check_finite(self, values: Tensor, one: FieldSpec, rows: np.ndarray) -> None:
        # One pass over the data; a sum that overflows is looked at again.
        if torch.isfinite(values.sum()):
            return
        wrong = ~torch.isfinite(values)
        if wrong.any():
            sample = int(wrong.flatten(1).any(1).nonzero()[0])
            number = self._file[rows[sample]]
            raise NonFiniteError(
                f"sample {self._row[rows[sample]]} has {int(wrong[sample].sum())} values "
                "that are NaN or infinite",
                file=self.files[number],
                place=self._stored[one.name].place,
                allowed="finite numbers",
                advice="list all with `pdesolve data verify FILE`, then generate again",
            )


def _groups(channels: Sequence[Channel]) -> Iterator[tuple[FieldSpec, int, slice]]:
    """Yield the columns of each component of a field, as slices."""
    found: dict[tuple[FieldSpec, int], list[int]] = {}
    for column, channel in enumerate(channels):
        found.setdefault((channel.field, channel.component), []).append(column)
    for (one, component), columns in found.items():
        steps = np.unique(np.diff(columns)).tolist()
        whole = [slice(columns[0], columns[-1] + 1, *steps[:1])]
        single = [slice(column, column + 1) for column in columns]
        yield from ((one, component, cut) for cut in (whole if len(steps) < 2 else single))


def _check_alike(headers: Sequence[Header] | Sequence[Foreign]) -> None:
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


def _strided(header: Header | Foreign, stride: int) -> Grid:
    try:
        return header.spec.grid.strided(stride)
    except ValueError as error:
        raise ResolutionError(str(error), file=header.file) from error
