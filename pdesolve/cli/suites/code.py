"""Which code made a figure: the package's version with a hash of its sources."""

from functools import cache
from hashlib import sha256
from pathlib import Path

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


def sources_hash(package: Path) -> str:
    """Return the SHA-256 over the Python files below a folder: their relative names and bytes."""
    total = sha256()
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    for name in sorted(files):
        content = files[name].read_bytes()
        # The length keeps a file's end from being read as the next one's beginning.
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
