"""Arrays of NumPy's .npy files, mapped and not loaded; nothing in them is ever unpickled."""

import math
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ..errors import ChecksumError, TruncatedFileError, UnsafeFileError, UnsupportedDtypeError

MAGIC = b"\x93NUMPY"
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def is_numpy(path: Path) -> bool:
    """Whether the file begins as .npy files do."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def mapped(path: Path) -> np.memmap:
    """Return the array of a file, read from the disk only where it is used.

    Raises:
        UnsafeFileError: it holds pickled objects.
        UnsupportedDtypeError: it holds other than real numbers.
        TruncatedFileError, ChecksumError: its end is missing, or its header is damaged.
    """
    with path.open("rb") as stream:
        try:
            version = npy.read_magic(stream)
            if version not in _READERS:
                raise ValueError(f"format version {version}")
            shape, fortran, dtype = _READERS[version](stream)
        except (ValueError, TypeError, SyntaxError, OverflowError) as error:
            raise ChecksumError(
                f"unreadable header ({str(error).partition(chr(10))[0]})",
                file=path,
                allowed="a whole .npy file of version 1 or 2",
                advice="copy it again",
            ) from error
        start = stream.tell()
    if dtype.hasobject:
        raise UnsafeFileError(
            "pickled objects",
            file=path,
            allowed="plain numbers",
            advice="save plain arrays from an environment that you trust with the file",
        )
    if dtype.kind not in "fiub":
        raise UnsupportedDtypeError(f"elements of type {dtype}", file=path, allowed="real numbers")
    needed, size = start + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if size < needed or not math.prod(shape):
        raise TruncatedFileError(
            f"{size} bytes", file=path, allowed=f"{needed} bytes", advice="copy it again"
        )
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
