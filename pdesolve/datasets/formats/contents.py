"""What an HDF5 file holds near its root: enough to tell foreign layouts apart."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py

from ..errors import NotHDF5Error
from ..opening import damage_told, open_file


@dataclass(frozen=True)
class Contents:
    """Names and shapes at the root, and inside the first of its groups.

    Attributes:
        attributes: names of root attributes.
        groups: names of root groups, sorted.
        shapes: of root data sets, and as "group/name" those of the first group.
    """

    attributes: frozenset[str]
    groups: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]


def contents(path: str | Path) -> Contents | None:
    """Return what an HDF5 file holds, None if it is of another kind.

    Raises:
        DataError: an HDF5 file that is truncated, damaged or unsafe (see `opening.open_file`).
    """
    path = Path(path)
    # By time and size, so that a file that changed is looked at again.
    state = path.stat() if path.is_file() else None
    return _contents(path, state and (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=64)
def _contents(path: Path, _state: tuple[int, int] | None) -> Contents | None:
    try:
        file = open_file(path)
    except NotHDF5Error:
        return None
    with file, damage_told(path):
        groups = tuple(sorted(str(name) for name in file if isinstance(file[name], h5py.Group)))
        shapes = _shapes(file, "")
        if groups:
            shapes |= _shapes(file[groups[0]], f"{groups[0]}/")
        return Contents(frozenset(file.attrs), groups, shapes)


def _shapes(group, prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}{name}": item.shape
        for name, item in group.items()
        if isinstance(item, h5py.Dataset)
    }
