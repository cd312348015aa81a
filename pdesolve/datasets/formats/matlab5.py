"""Arrays of real numbers in MATLAB's own file format, version 5, read with every length checked.

    header      128 bytes; the last two are "IM" (little endian) or "MI"
    element     type uint32, length uint32, content; one after another
    matrix      an element of type 14, or a zlib stream of one (type 15), whose content is elements:
                flags, sizes, name, real part; each padded to 8 bytes, and up to 4 bytes of content
                may stand in the second half of an element's own 8 bytes
    real part   in column-major order, of a type that may be narrower than the array's class

scipy's reader, taken for this at first, crashes the interpreter over some damaged bytes.

Source: MathWorks, MAT-File Format, the chapter on version 5.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import ChecksumError, TruncatedFileError, UnsafeFileError
from ..opening import BOMB_BYTES, BOMB_RATIO

HEADER = 128
# Byte orders by the last two bytes of the header.
ORDERS = {b"IM": "<", b"MI": ">"}
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_COMPLEX = 0x0800
# Enough for flags, 32 sizes and a name of 63 letters.
_DESCRIPTION = 512


@dataclass(frozen=True)
class Array:
    """One array of real numbers.

    Attributes:
        name, shape: as in MATLAB.
        dtype: of the array's class.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    _file: Path
    _stored: np.dtype
    # Of the element's content in the file, and of the numbers inside it once decompressed.
    _start: int
    _length: int
    _offset: int
    _compressed: bool

    def read(self, rows: slice) -> np.ndarray:
        """Return entries of the first axis; a compressed array is unpacked and kept whole."""
        return np.ascontiguousarray(self._whole[rows]).astype(self.dtype, copy=False)

    @cached_property
    def _whole(self) -> np.ndarray:
        if not self._compressed:
            start = self._start + self._offset
            return np.memmap(self._file, self._stored, "r", start, self.shape, "F")
        end = self._offset + math.prod(self.shape) * self._stored.itemsize
        with self._file.open("rb") as stream:
            stream.seek(self._start)
            content = _decompressed(self._file, self.name, stream.read(self._length), end)
        flat = np.frombuffer(content, self._stored, math.prod(self.shape), self._offset)
        return flat.reshape(self.shape, order="F")


def arrays(file: Path) -> dict[str, Array]:
    """Return the arrays of real numbers in a file; text, cells and structures are passed over.

    Raises:
        TruncatedFileError: the file ends inside an element.
        ChecksumError: lengths or types make no sense.
        UnsafeFileError: an array declares over 4 GiB and over 1000 times its stored bytes.
    """
    found = {}
    try:
        for compressed, start, length in _elements(file):
            array = _described(file, compressed, start, length)
            if array is not None:
                found[array.name] = array
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged(file, "", str(error)) from error
    return found


def _elements(file: Path) -> Iterator[tuple[bool, int, int]]:
    """Yield (compressed, start, length) of the content of each matrix."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        order = ORDERS[stream.read(HEADER)[126:]]
        place = HEADER
        while place < size:
            stream.seek(place)
            tag = stream.read(8)
            kind, length = struct.unpack(f"{order}II", tag) if len(tag) == 8 else (_MATRIX, 8)
            if kind not in (_MATRIX, _COMPRESSED):
                raise _damaged(file, "", f"an element of type {kind} at byte {place}")
            if place + 8 + length > size:
                raise TruncatedFileError(
                    f"{size} bytes",
                    file=file,
                    allowed=f"at least {place + 8 + length} bytes",
                    advice="copy it again",
                )
            yield kind == _COMPRESSED, place + 8, length
            place += 8 + length


def _described(file: Path, compressed: bool, start: int, length: int) -> Array | None:
    with file.open("rb") as stream:
        order = ORDERS[stream.read(HEADER)[126:]]
        stream.seek(start)
        head = stream.read(min(length, _DESCRIPTION))
    available = length
    if compressed:
        head = _decompressed(file, "", head, _DESCRIPTION, whole=False)
        kind, available = struct.unpack_from(f"{order}II", head)
        if kind != _MATRIX:
            raise _damaged(file, "", f"a compressed element of type {kind}")
        available += 8
    if available < (16 if compressed else 8):
        return None  # MATLAB's empty array has no content.
    place = 8 if compressed else 0
    _, place, content = _part(order, head, place)
    flags = struct.unpack_from(f"{order}I", content)[0]
    _, place, content = _part(order, head, place)
    shape = struct.unpack(f"{order}{len(content) // 4}i", content)
    _, place, content = _part(order, head, place)
    name = content.decode("ascii")
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX:
        return None
    stored, offset, size = _tag(order, head, place)
    if stored not in _TYPES or min(shape, default=-1) < 0:
        raise _damaged(file, name, f"sizes {shape}, numbers of type {stored}")
    dtype = np.dtype(order + _TYPES[stored])
    _check_size(file, name, math.prod(shape) * dtype.itemsize, size, offset, available, length)
    native = np.dtype(_CLASSES[flags & 0xFF])
    return Array(name, shape, native, file, dtype, start, length, offset, compressed)


def _check_size(
    file: Path, name: str, declared: int, size: int, offset: int, available: int, stored: int
) -> None:
    if declared > BOMB_BYTES and declared > BOMB_RATIO * stored:
        raise UnsafeFileError(
            f"{declared} bytes declared and {stored} stored",
            file=file,
            place=name,
            allowed="data stored in the file itself",
        )
    if declared != size or offset + size > available:
        raise _damaged(file, name, f"{size} of {available} bytes for an array of {declared}")


def _tag(order: str, data: bytes, place: int) -> tuple[int, int, int]:
    """Type, place and length of the content of the element at `place`."""
    kind, length = struct.unpack_from(f"{order}II", data, place)
    if kind >> 16:
        return kind & 0xFFFF, place + 4, kind >> 16
    return kind, place + 8, length


def _part(order: str, data: bytes, place: int) -> tuple[int, int, bytes]:
    """Type of the element at `place`, where the next one is, and its content."""
    kind, start, length = _tag(order, data, place)
    end = place + 8 if start == place + 4 else start + -(-length // 8) * 8
    if end > len(data):
        raise struct.error(f"an element of {length} bytes in a description of {len(data)}")
    return kind, end, data[start : start + length]


def _decompressed(file: Path, name: str, data: bytes, size: int, *, whole: bool = True) -> bytes:
    """The first bytes of a zlib stream, never more than asked for.

    The stream's own checksum is compared where all of it is unpacked.
    """
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, size)
        # A few bytes of padding may follow the numbers; the checksum comes after them.
        rest = unpacker.decompress(unpacker.unconsumed_tail, 64) if whole else b""
    except zlib.error as error:
        raise _damaged(file, name, str(error)) from error
    if whole and (len(content) < size or len(rest) > 8 or not unpacker.eof):
        raise _damaged(file, name, f"{len(content)} bytes unpacked of {size}")
    return content


def _damaged(file: Path, name: str, found: str) -> ChecksumError:
    return ChecksumError(
        f"damaged bytes ({found})",
        file=file,
        place=name,
        allowed="a MATLAB 5 file",
        advice="copy it again",
    )
