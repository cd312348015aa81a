"""Open an HDF5 file only if it is whole, free and safe; nothing is read before that is known."""

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
from h5py import h5t

from .errors import (
    ChecksumError,
    DataError,
    FileBusyError,
    IncompleteFileError,
    MissingFileError,
    NotHDF5Error,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedDtypeError,
)

UNFINISHED = ".tmp"
# Above this size a data set must be backed by stored bytes (the limits that Keras 3 adopted).
BOMB_BYTES = 4 * 2**30
BOMB_RATIO = 1000
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OTHER_KINDS = {
    b"version https://git-lfs": "a git-lfs pointer: run `git lfs pull`",
    b"<!DOCTYPE": "an HTML page: the download failed",
    b"<html": "an HTML page: the download failed",
    b"PK\x03\x04": "a zip archive, such as a torch .pt file: try `pdesolve data convert FILE`",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"MATLAB 5.0": "a MATLAB 5 file: try `pdesolve data convert FILE`",
    b"\x93NUMPY": "a NumPy array: load it and call pdesolve.datasets.from_arrays",
}
# What h5py raises over a flipped bit, depending on where it is.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
_PLAIN_TYPES = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)


def open_file(path: str | Path, mode: str = "r") -> h5py.File:
    """Open an existing HDF5 file for reading ("r") or resuming ("r+").

    Raises:
        MissingFileError, NotHDF5Error, TruncatedFileError, FileBusyError, ChecksumError: it
            cannot be opened, for the reason in the name.
        IncompleteFileError: only the unfinished file of a writer is there.
        UnsafeFileError, UnsupportedDtypeError: its structure is refused (`check_structure`).
    """
    path = Path(path)
    _check_kind(path)
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        raise _explained(path, error) from error
    try:
        with damage_told(path):
            check_structure(file)
    except DataError:
        file.close()
        raise
    return file


def check_structure(file: h5py.File) -> None:
    """Walk all links and refuse what would reach outside the file or fill the memory.

    Raises:
        UnsafeFileError: a soft or external link, external storage, a virtual data set, or a
            data set that declares over 4 GiB and over 1000 times its stored bytes.
        UnsupportedDtypeError: a data set of other than plain numbers, or a named type.
    """
    seen: set[h5py.Group] = set()
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    while waiting:
        prefix, group = waiting.pop()
        # Equal handles are the same group: hard links may form a ring.
        if group in seen:
            continue
        seen.add(group)
        for name in group:
            place = f"{prefix}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _unsafe(file, place, "a soft or external link")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((place, item))
            elif isinstance(item, h5py.Dataset):
                _check_dataset(file, place, item)
            else:
                raise UnsupportedDtypeError("a named type", file=file.filename, place=place)


@contextmanager
def damage_told(path: str | Path, place: str = "") -> Iterator[None]:
    """Turn what h5py raises over damaged bytes into a ChecksumError.

    Raises:
        ChecksumError: the HDF5 library found wrong bytes, or the metadata make no sense.
    """
    try:
        yield
    except DataError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error, place) from error


def _damaged(path: str | Path, error: Exception, place: str = "") -> ChecksumError:
    return ChecksumError(
        f"damaged bytes ({type(error).__name__}: {str(error).partition(chr(10))[0]})",
        file=path,
        place=place,
        advice="see which samples with `pdesolve data verify FILE`, then fetch or generate again",
    )


def _check_dataset(file: h5py.File, place: str, data: h5py.Dataset) -> None:
    if data.external:
        raise _unsafe(file, place, "external storage")
    if data.is_virtual:
        raise _unsafe(file, place, "a virtual data set")
    if data.id.get_type().get_class() not in _PLAIN_TYPES:
        raise UnsupportedDtypeError(
            f"elements of type {data.dtype}",
            file=file.filename,
            place=place,
            allowed="integers, floats or booleans",
        )
    declared = data.size * data.dtype.itemsize if data.size else 0
    stored = data.id.get_storage_size()
    if declared > BOMB_BYTES and declared > BOMB_RATIO * stored:
        raise _unsafe(file, place, f"{declared} bytes declared and {stored} stored")


def _unsafe(file: h5py.File, place: str, found: str) -> UnsafeFileError:
    return UnsafeFileError(
        found,
        file=file.filename,
        place=place,
        allowed="data stored in the file itself",
        advice="do not use this file unless you know its author; rewrite it with plain data sets",
    )


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise _missing(path)
    with path.open("rb") as stream:
        head = stream.read(1024)
    if head.startswith(_SIGNATURE) or head[512:].startswith(_SIGNATURE):
        return
    known = (text for start, text in _OTHER_KINDS.items() if head.lstrip().startswith(start))
    kind = next(known, "no known kind") if head else "empty"
    raise NotHDF5Error(
        f"no HDF5 signature, the file is {kind}",
        file=path,
        advice="check the path, or fetch or generate the file again",
    )


def _missing(path: Path) -> DataError:
    unfinished = path.with_name(path.name + UNFINISHED)
    if unfinished.is_file():
        return IncompleteFileError(
            f"only {unfinished.name} is there, its writer has not finished",
            file=path,
            advice="continue it with the same `pdesolve generate ...` command",
        )
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 3, 0.5)
    return MissingFileError(
        "a folder" if path.is_dir() else "no such file",
        file=path,
        advice=f"nearest names there are {near}" if near else "check the path",
    )


def _explained(path: Path, error: OSError) -> DataError:
    text = str(error)
    size = path.stat().st_size
    if "unable to lock file" in text:
        return FileBusyError(
            "another process is writing it", file=path, advice="wait until it has finished"
        )
    stored = re.search(r"stored_eof = (\d+)", text)
    if stored or size < 2048:
        return TruncatedFileError(
            f"{size} bytes",
            file=path,
            allowed=f"{stored[1] if stored else 'over 2048'} bytes",
            advice="copy it again, or generate it again with `pdesolve generate ...`",
        )
    return _damaged(path, error)
