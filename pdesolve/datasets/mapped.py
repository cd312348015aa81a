"""Fields gathered from memory that maps their file, where the stored bytes are the numbers."""

import mmap
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from .errors import ChecksumError, TruncatedFileError
from .spec import AXIS_NAMES
from .stored import COMPONENTS, SAMPLES, TIMES, Stored

# Leaves the numbers as they are and puts four bytes behind them.
CHECKSUM = h5py.h5z.FILTER_FLETCHER32


class MappedFile:
    """The bytes of a file as memory.

    A file that has become shorter is refused each time before its bytes are touched. One that is
    cut in the very moment of reading, or a disk that fails, ends the process by a signal: memory
    has no other way to tell.
    """

    def __init__(self, path: Path):
        self.path = path
        with path.open("rb") as stream:
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def whole(self) -> mmap.mmap:
        """Return the bytes.

        Raises:
            TruncatedFileError: the file is shorter than when it was opened.
        """
        size = self._bytes.size()  # Of the file as it is now.
        if size < len(self._bytes):
            raise TruncatedFileError(
                f"{size} bytes",
                file=self.path,
                allowed=f"{len(self._bytes)} bytes, as when it was opened",
                advice="it was cut while in use: copy it again, or generate it again",
            )
        return self._bytes


class MappedField:
    """Frames of a field at known places of a file, their points at fixed distances.

    Args:
        memory: the file.
        starts: bytes from its start to each frame, shape (n, t).
        shape: of a frame.
        strides: bytes from a point to the next, along each axis.
        dtype: of the numbers.
        component: bytes from a component of a vector to the next, 0 for a scalar.
        has_checksums: HDF5 can verify what is stored.

    Raises:
        ChecksumError: a frame is said to lie where the file has no bytes.
    """

    def __init__(
        self,
        memory: MappedFile,
        starts: np.ndarray,
        shape: Sequence[int],
        strides: Sequence[int],
        dtype: np.dtype,
        *,
        component: int,
        has_checksums: bool,
    ):
        self.has_checksums = has_checksums
        self._memory = memory
        self._native = dtype.newbyteorder("=")
        self._starts = starts
        self._component = component
        reach = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        rows = len(memory.whole()) - reach - dtype.itemsize + 1
        last = int(starts.max()) + (len(shape) - 1) * component
        if last >= rows:
            raise ChecksumError(
                f"a frame ends {last - rows + 1} bytes behind the end",
                file=memory.path,
                advice="fetch the file again, or generate it again",
            )
        # A row for each byte of the file: the frame that would begin there.
        self._table = np.ndarray((rows, *shape), dtype, memory.whole(), 0, (1, *strides))

    def frames(self, lines: np.ndarray, times: np.ndarray, component: int) -> np.ndarray:
        """Return frames of samples.

        Args:
            lines: the samples in the file, shape (b,).
            times: positions of the frames, shape (b, k).
            component: of a vector, else 0.

        Returns:
            An array (b, k, *shape).

        Raises:
            TruncatedFileError: the file has become shorter.
        """
        self._memory.whole()
        starts = self._starts[lines[:, None], times] + component * self._component
        return self._table[starts].astype(self._native, copy=False)


def mapped_field(
    data: h5py.Dataset,
    stored: Stored,
    memory: MappedFile,
    shape: Sequence[int],
    space: Sequence[slice],
) -> MappedField | None:
    """Return a field for reading from memory, None if only HDF5 can read it.

    Args:
        data: the data set that holds it.
        stored: what the axes of the data set are.
        memory: the file.
        shape: of the grid that is wanted.
        space: of each axis, the points that are wanted.
    """
    offsets = chunk_offsets(data)
    if offsets is None or _divided(data, stored):
        return None
    along = dict(zip(stored.axes, _jumps(data), strict=True))
    axes = zip(AXIS_NAMES, space, strict=False)
    return MappedField(
        memory,
        _frame_starts(data, stored, offsets, space),
        shape,
        [along.get(letter, 0) * (cut.step or 1) for letter, cut in axes],
        data.dtype,
        component=along.get(COMPONENTS, 0) if stored.part is None else 0,
        has_checksums=bool(data.fletcher32),
    )


def _divided(data: h5py.Dataset, stored: Stored) -> bool:
    """Whether what a frame consists of lies in several chunks."""
    whole = {*AXIS_NAMES} if stored.part is not None else {*AXIS_NAMES, COMPONENTS}
    axes = zip(stored.axes, data.chunks or data.shape, data.shape, strict=True)
    return any(letter in whole and size < count for letter, size, count in axes)


def _jumps(data: h5py.Dataset) -> list[int]:
    """Bytes from an entry to the next along each axis, inside a chunk."""
    block = data.chunks or data.shape
    return np.cumprod([data.dtype.itemsize, *block[:0:-1]])[::-1].tolist()


def _frame_starts(
    data: h5py.Dataset, stored: Stored, offsets: np.ndarray, space: Sequence[slice]
) -> np.ndarray:
    """Bytes from the start of the file to the first wanted point of each frame, shape (n, t)."""
    counts = dict(zip(stored.axes, data.shape, strict=True))
    wanted = dict(zip(AXIS_NAMES, (cut.start or 0 for cut in space), strict=False))
    wanted |= stored.entries()
    wanted[SAMPLES] = np.arange(counts[SAMPLES])[:, None]
    wanted[TIMES] = np.arange(counts.get(TIMES, 1))[None]
    chunk, inside = [], np.zeros((counts[SAMPLES], 1), np.int64)
    for letter, size, jump in zip(
        stored.axes, data.chunks or data.shape, _jumps(data), strict=True
    ):
        entry = wanted.get(letter, 0)
        chunk.append(entry // size)
        inside = inside + entry % size * jump
    return offsets[tuple(chunk)] + inside


def chunk_offsets(data: h5py.Dataset) -> np.ndarray | None:
    """Return bytes from the start of the file to each chunk, in the shape of the chunks' lattice.

    A contiguous data set is one chunk. None where the stored bytes are not the numbers (filters
    other than a checksum), lie in no place of their own (a small data set inside its header), or
    were never written.
    """
    # Older versions of HDF5 count from the end of the user block.
    if data.file.userblock_size:
        return None
    size = data.chunks
    if size is None:
        offset = data.id.get_offset()
        return None if offset is None else np.full((1,) * data.ndim, offset, np.int64)
    settings = data.id.get_create_plist()
    if {settings.get_filter(k)[0] for k in range(settings.get_nfilters())} - {CHECKSUM}:
        return None
    offsets = np.full(-(-np.array(data.shape) // size), -1, np.int64)

    def note(chunk) -> None:
        offsets[tuple(np.floor_divide(chunk.chunk_offset, size))] = chunk.byte_offset

    data.id.chunk_iter(note)
    return None if (offsets < 0).any() else offsets
