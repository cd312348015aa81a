"""The progress bar of long work."""

import sys
from typing import Any


def bar(config: Any) -> Any:
    """Return a bar with samples per second on stderr, hidden by progress=false and in files."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:>6}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not (config.progress and sys.stderr.isatty()),
    )
