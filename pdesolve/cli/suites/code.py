"""Which code made a figure: the package's version with a hash of its sources, and the user's."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...version import __version__

PACKAGE = Path(__file__).resolve().parents[2]


@cache
def code_version() -> str:
    """Return the version of the package that is imported, such as "0.1.0+3f29c1a4be07".

    The digits behind the plus are of the SHA-256 over name and bytes of every Python file of the
    package, in the order of their names. A development version changes with each edit, so that a
    row is never taken for one that other code made.
    """
    return f"{__version__}+{sources_hash(PACKAGE)[:12]}"


def code_of(task: Mapping[str, Any], allow: Sequence[str]) -> str:
    """Return the version of all code that a task runs: the package's, and the user's own.

    Args:
        task: its `_target_`s say which of the allowed packages it needs.
        allow: packages of the user's own.

    Returns:
        Such as "0.1.0+3f29c1a4be07", or "0.1.0+3f29c1a4be07 my_package+0a86f3b1c2d4".
    """
    used = {target.partition(".")[0] for target in _targets(task)}
    own = [f"{name}+{_own_hash(name)[:12]}" for name in sorted(used.intersection(allow))]
    return " ".join([code_version(), *own])


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _targets(part)


@cache
def _own_hash(name: str) -> str:
    """Return the hash of a package's or module's sources, "" where there are none to read."""
    found = find_spec(name)
    if found is None:
        return ""
    if found.submodule_search_locations:
        return sources_hash(Path(next(iter(found.submodule_search_locations))))
    origin = Path(found.origin or "")
    return sha256(origin.read_bytes()).hexdigest() if origin.suffix == ".py" else ""


def sources_hash(package: Path) -> str:
    """Return the SHA-256 over the Python files below a folder: their relative names and bytes."""
    total = sha256()
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    for name in sorted(files):
        content = files[name].read_bytes()
        # The length keeps a file's end from being read as the next one's beginning.
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
