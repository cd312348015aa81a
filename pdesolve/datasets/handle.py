"""One file as one process holds it open: its fields through HDF5, and as mapped memory."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from . import schema
from .mapped import MappedField, MappedFile, mapped_field
from .opening import damage_told, open_file
from .stored import SAMPLES, Stored


class Handle:
    """An open file.

    Args:
        path: of the file.
        stored: by name, where it holds the fields.
        shape: of the grid that is wanted.
        space: of each axis, the points that are wanted.

    Raises:
        DataError: see `opening.open_file`.
    """

    def __init__(
        self,
        path: Path,
        stored: Mapping[str, Stored],
        shape: Sequence[int],
        space: Sequence[slice],
    ):
        self.path = path
        self._file = open_file(path)
        self._stored = stored
        self._shape = shape
        self._space = space
        # Looking a data set up costs as much as reading a sample, so it is kept.
        self._fields: dict[str, tuple[h5py.Dataset, MappedField | None]] = {}
        # Samples whose checksums were found right.
        self._verified: dict[str, np.ndarray] = {}

    @cached_property
    def _memory(self) -> MappedFile:
        return MappedFile(self.path)

    def frames(self, name: str, component: int, lines: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return frames of samples.

        What is stored with a checksum is read through HDF5 once, which verifies it; the numbers
        then come from memory, unless they are encoded in a way that only HDF5 knows.

        Args:
            name: of the field.
            component: of a vector, else 0.
            lines: the samples in this file, shape (b,).
            times: positions of the frames, shape (b, k).

        Returns:
            An array (b, k, *grid).

        Raises:
            ChecksumError: stored bytes are damaged.
            TruncatedFileError: the file has become shorter.
        """
        data, mapped = self._field(name)
        if mapped is None:
            return self._decoded(name, data, component, lines, times)
        if mapped.has_checksums:
            self._verify(name, data, lines)
        return mapped.frames(lines, times, component)

    def _decoded(
        self, name: str, data: h5py.Dataset, component: int, lines: np.ndarray, times: np.ndarray
    ) -> np.ndarray:
        values = np.empty((*times.shape, *self._shape), data.dtype.newbyteorder("="))
        for run in _runs(lines, times):
            wanted = times[run[0]]
            span = slice(int(wanted.min()), int(wanted.max()) + 1)
            read = self._read(name, data, lines[run], span)
            values[run] = read[:, wanted - span.start][..., component]
        return values

    def _verify(self, name: str, data: h5py.Dataset, lines: np.ndarray) -> None:
        verified = self._verified[name]
        new = np.unique(lines[~verified[lines]])
        for run in np.split(new, np.flatnonzero(np.diff(new) != 1) + 1) if len(new) else ():
            self._read(name, data, run, slice(None))
            verified[run] = True

    def _read(self, name: str, data: h5py.Dataset, lines: np.ndarray, times: slice) -> np.ndarray:
        """Neighbouring samples (n, t, *grid, c) through HDF5, at once."""
        stored, (first, last) = self._stored[name], lines[[0, -1]].tolist()
        with damage_told(self.path, f"{stored.place}, samples {first} to {last}"):
            return stored.read(data, slice(first, last + 1), times, self._space)

    def _field(self, name: str) -> tuple[h5py.Dataset, MappedField | None]:
        if name not in self._fields:
            stored = self._stored[name]
            with damage_told(self.path, stored.place):
                data = schema.dataset(self._file, stored.place)
                mapped = mapped_field(data, stored, self._memory, self._shape, self._space)
            self._verified[name] = np.zeros(data.shape[stored.axes.index(SAMPLES)], bool)
            self._fields[name] = data, mapped
        return self._fields[name]


def _runs(lines: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """Return positions of neighbours in the file, of which the same frames are wanted."""
    order = np.argsort(lines, kind="stable")
    apart = np.diff(lines[order]) != 1
    apart |= (np.diff(times[order], axis=0) != 0).any(1)
    return np.split(order, np.flatnonzero(apart) + 1)
