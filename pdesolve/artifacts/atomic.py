"""Folders that are complete or not there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of these files, in place of an older one.

    The files are written and flushed beside it and moved in one step. A failure leaves the older
    folder; a crash leaves the older or the new one, at worst under the name `previous(folder)`.

    Args:
        folder: its parents are created.
        files: content by file name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        for name, content in files.items():
            with open(temporary / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(temporary)
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(folder.parent)


def _move_into_place(temporary: Path, folder: Path) -> None:
    older = previous(folder)
    if folder.exists():
        # A folder cannot be renamed onto a full one. Between the two renames only the older
        # one exists, under the other name, and `load` looks there.
        shutil.rmtree(older, ignore_errors=True)
        folder.rename(older)
    temporary.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def previous(folder: Path) -> Path:
    """Where the older folder lies while a new one takes its place."""
    return folder.with_name(f".{folder.name}.previous")


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders; there the rename alone has to do.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
