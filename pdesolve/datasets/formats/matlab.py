"""Arrays of MATLAB files, version 5 and 7.3, with the axes that MATLAB shows.

The version is told by the first bytes: 7.3 is an HDF5 file behind 512 bytes of text, in which
arrays lie with their axes reversed; 5 is MATLAB's own format, whose arrays are under 4 GiB.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import MissingFileError, UnknownFormatError
from ..opening import damage_told, open_file
from . import matlab5

_TEXT_73 = b"MATLAB 7.3 MAT-file"
# Bytes 124 to 127 of version 5: its number and the byte order.
_MARKS_5 = (b"\x00\x01IM", b"\x01\x00MI")


@dataclass(frozen=True)
class Variable:
    """One array: its shape as MATLAB shows it, and a slice of its first axis on demand."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[slice], np.ndarray]


def version(path: Path) -> str | None:
    """Return "5" or "7.3" by the first bytes, None for another kind of file.

    Raises:
        MissingFileError: there is no such file.
    """
    if not path.is_file():
        raise MissingFileError("no such file", file=path, advice="check the path")
    with path.open("rb") as stream:
        head = stream.read(matlab5.HEADER)
    if head.startswith(_TEXT_73):
        return "7.3"
    return "5" if head[124:] in _MARKS_5 else None


@contextmanager
def open_matlab(path: Path) -> Iterator[Mapping[str, Variable]]:
    """Yield the arrays of numbers in a file by name.

    Raises:
        UnknownFormatError: it is no MATLAB file.
        TruncatedFileError, ChecksumError: the end is missing, or bytes are damaged.
        UnsafeFileError: an array declares far more bytes than the file has, or an HDF5 file is
            refused for another reason (see `opening.open_file`).
    """
    kind = version(path)
    if kind is None:
        raise UnknownFormatError("no MATLAB file of version 5 or 7.3", file=path)
    if kind == "7.3":
        with open_file(path) as file, damage_told(path):
            yield {str(k): _reversed(path, v) for k, v in file.items() if _is_data(v)}
    else:
        held = matlab5.arrays(path).items()
        yield {name: Variable(one.shape, one.dtype, one.read) for name, one in held}


def _is_data(item: h5py.Dataset | h5py.Group) -> bool:
    return isinstance(item, h5py.Dataset) and item.ndim > 0


def _reversed(path: Path, data: h5py.Dataset) -> Variable:
    def read(rows: slice) -> np.ndarray:
        with damage_told(path, str(data.name)):
            return data[..., rows].T

    return Variable(data.shape[::-1], data.dtype, read)
