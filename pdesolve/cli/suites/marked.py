"""Text between two markers of a file, written by a command and never by hand."""

from pathlib import Path

from ..application import write_text
from ..failures import UsageError


def markers(name: str) -> tuple[str, str]:
    """Return the lines before and after the text of that name.

    >>> markers("darcy cpu")[0]
    '<!-- benchmark darcy cpu: written by the command, not by hand -->'
    """
    return (
        f"<!-- benchmark {name}: written by the command, not by hand -->",
        f"<!-- end of benchmark {name} -->",
    )


def replace_marked(path: Path, name: str, text: str) -> bool:
    """Put a text between its markers and return whether the file has them.

    Raises:
        UsageError: the file has one of the two markers only, or has them the wrong way round.
    """
    first, last = markers(name)
    whole = path.read_text(encoding="utf-8") if path.is_file() else ""
    start, end = whole.find(first), whole.find(last)
    if start < 0 and end < 0:
        return False
    if not 0 <= start < end:
        raise UsageError(f"{path} has not both markers of {name!r}, expected {first} before {last}")
    write_text(path, f"{whole[: start + len(first)]}\n{text.strip()}\n{whole[end:]}")
    return True
