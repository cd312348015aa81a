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
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        """Samples per second of all workers together."""

        def render(self, task: Any) -> Text:
            return Text(rate(task.finished_speed or task.speed))

    return Progress(
        TextColumn("{task.description:>6}"),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not (config.progress and sys.stderr.isatty()),
    )


def rate(samples_per_second: float | None) -> str:
    """Return a rate as one reads it.

    >>> rate(31.24), rate(0.05), rate(None)
    ('31.2 samples/s', '3.0 samples/min', '')
    """
    if not samples_per_second:
        return ""
    if samples_per_second < 1:
        return f"{60 * samples_per_second:.1f} samples/min"
    return f"{samples_per_second:.1f} samples/s"
