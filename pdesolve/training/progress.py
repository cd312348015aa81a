"""A progress bar on stderr: epoch, loss, validation, rate, time left."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """Shows steps while used as a context.

    Args:
        total: steps of the run.
        shown: False shows nothing. Nothing is shown either where stderr is no terminal, unless
            rich is told otherwise by FORCE_COLOR in the environment.
    """

    def __init__(self, total: int, *, shown: bool):
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("", total=total, epoch=1, figures="")
        self._figures: dict[str, float] = {}

    def show(self, step: int, epoch: int, **figures: float) -> None:
        """Show the position and the newest figures; earlier ones with other names stay."""
        self._figures |= figures
        text = " ".join(f"{name} {value:.3g}" for name, value in self._figures.items())
        self._bar.update(self._task, completed=step, epoch=epoch + 1, figures=text)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
