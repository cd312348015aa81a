"""Which exit code a failure has: 2 usage, 3 data, 4 numerical, 5 rows, 130 and 143 signals."""

import signal
import sys

USAGE, DATA, NUMERICAL, ROWS = 2, 3, 4, 5


class UsageError(Exception):
    """A command line or config that asks for something that is not there."""


class RowsFailed(Exception):
    """Some rows of a benchmark failed; the others were run, and the tables say which and why."""


class Skipped(Exception):
    """A row of a benchmark that cannot be run here: what it is compared with is not there."""


class Stopped(Exception):
    """A run ended by a signal after it had saved its state."""

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum


def exit_code_of(error: BaseException) -> int | None:
    """Return the exit code of a failure that a user can mend, None for a bug.

    A bug keeps its traceback. The modules that define the errors are looked up, not imported:
    an error whose module is not loaded cannot have been raised.
    """
    if isinstance(error, Stopped):
        return 128 + error.signum
    if isinstance(error, RowsFailed):
        return ROWS
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, UsageError) or _is(error, "hydra.errors", "HydraException"):
        return USAGE
    if _is(error, "omegaconf.errors", "OmegaConfBaseException"):
        return USAGE
    if isinstance(error, OSError) or _is(error, "pdesolve.datasets.errors", "DataError"):
        return DATA
    if isinstance(error, ArithmeticError):
        return NUMERICAL
    # The rooms below say with ValueError that an argument, hence the config, cannot be.
    if isinstance(error, ValueError):
        return USAGE
    return None


def _is(error: BaseException, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name))
