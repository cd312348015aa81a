"""A call in a process of its own: what may crash there takes only that process along."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any


class Crashed(Exception):
    """The process died without an answer, as a library does on a memory fault."""


class Apart:
    """Calls functions in another process, which is started again after a crash."""

    def __init__(self):
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what a module's function returns; it, its arguments and its result are pickled.

        Raises:
            Crashed: the process died.
            Exception: what the function raised.
        """
        if self._pool is None:
            # A new interpreter: a forked one would inherit locks of threads that it does not have.
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self._pool.submit(function, *arguments, **options).result()
        except BrokenProcessPool as error:
            self.close()
            raise Crashed("the process died without an answer") from error

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def apart() -> Iterator[Apart]:
    """Give an `Apart`, and end its process afterwards."""
    caller = Apart()
    try:
        yield caller
    finally:
        caller.close()
