"""Blocks of samples solved in this process, or in several that it starts and watches."""

import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any

from .recipe import Recipe

# Seconds after which a signal is noticed while all workers are busy.
_PATIENCE = 0.2
# Libraries that would start a thread for each core in each worker.
_SINGLE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A block of samples of one file.

    Args:
        file: its position among the files that are written.
        recipe: makes the samples.
        indices: which ones.
    """

    file: int
    recipe: Recipe
    indices: range

    def solve(self) -> list[dict[str, Any]]:
        """Make the samples."""
        return self.recipe.samples(self.indices)


def solved(
    tasks: Sequence[Task], workers: int, stopped: Sequence[int]
) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
    """Yield tasks with their samples, in whatever order they are ready.

    Args:
        tasks: what to solve.
        workers: processes; with 1 all is done in this one.
        stopped: signals received; once there is one, blocks in progress are given up.

    Raises:
        ChildProcessError: a worker died.
        Exception: what a worker raised.
    """
    if workers == 1:
        for task in tasks:
            yield task, task.solve()
            if stopped:
                return
    elif tasks:
        with _started(min(workers, len(tasks))) as pool:
            yield from _shared_out(tasks, pool, stopped)


def _shared_out(
    tasks: Sequence[Task], pool: Mapping[Any, Any], stopped: Sequence[int]
) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
    waiting, busy = iter(tasks), {}

    def give(line: Any) -> None:
        if (task := next(waiting, None)) is not None:
            busy[line] = task
            line.send(task)

    try:
        for line in pool:
            give(line)
        while busy:
            ready: list[Any] = connection.wait(list(busy), _PATIENCE)
            if stopped:
                return
            for line in ready:
                answer, task = line.recv(), busy.pop(line)
                if isinstance(answer, BaseException):
                    raise answer
                give(line)
                yield task, answer
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        told = _deaths(pool)
        # The signal that ended a worker may have been meant for all.
        if not stopped:
            raise ChildProcessError(told) from error


def _deaths(pool: Mapping[Any, Any]) -> str:
    for process in pool.values():
        process.join(_PATIENCE)
    for number, process in enumerate(pool.values(), 1):
        if (code := process.exitcode) is not None:
            how = f"exit code {code}"
            if code < 0:
                how = f"signal {signal.Signals(-code).name}"
            short = ", often for want of memory" if code == -signal.SIGKILL else ""
            return f"worker {number} of {len(pool)} died of {how}{short}"
    return "a worker closed its line"


@contextmanager
def _started(workers: int) -> Iterator[dict[Any, Any]]:
    """Start processes and yield them by the line to each; none outlives the block."""
    # Spawned: a fork would share the threads and open files of this process.
    context = get_context("spawn")
    pool: dict[Any, Any] = {}
    try:
        with _single_threads():
            for _ in range(workers):
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(there,), daemon=True)
                process.start()
                # Only the worker holds its end, so that its death closes the line.
                there.close()
                pool[here] = process
        yield pool
    finally:
        for line, process in pool.items():
            process.kill()
            process.join()
            line.close()


@contextmanager
def _single_threads() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _SINGLE}
    os.environ.update(dict.fromkeys(_SINGLE, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _work(line: Any) -> None:
    """Solve what comes along the line until it closes."""
    # Ctrl-C reaches all processes of a terminal; the one that writes decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            task = line.recv()
        except EOFError:
            return
        try:
            answer = task.solve()
        except Exception as error:
            answer = _portable(error)
        line.send(answer)


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    # At once, also in the middle of a solve: nobody waits for it any more.
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return the error itself if it survives the way to another process, else its words."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
