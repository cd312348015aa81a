import os
import signal
import threading
import time

import pytest

from pdesolve import Grid
from pdesolve.cli.recipe import Recipe
from pdesolve.cli.workers import Task, solved
from pdesolve.pde import Poisson


class Arriving:
    """What happens to a worker that unpickles it; nothing here is importable over there."""

    def __init__(self, call, *arguments):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


def tasks_of(equation, count=1):
    recipe = Recipe(equation, Grid((5, 5), 1.0, False), 0, 0)
    return [Task(0, recipe, range(k, k + 1)) for k in range(count)]


@pytest.mark.parametrize(
    ("equation", "told"),
    [
        (Arriving(signal.raise_signal, signal.SIGKILL), "signal SIGKILL, often for want of memory"),
        (Arriving(os._exit, 3), "exit code 3"),
    ],
)
def test_death_of_a_worker_is_told(equation, told):
    with pytest.raises(ChildProcessError, match=rf"worker [12] of 2 died of {told}"):
        list(solved(tasks_of(equation, 2), 2, []))


def test_error_of_a_worker_is_raised_here():
    with pytest.raises(AttributeError, match="'str' object has no attribute 'random_inputs'"):
        list(solved(tasks_of(Arriving(str, "no equation"), 2), 2, []))


def test_a_signal_ends_the_work_while_workers_are_busy():
    stopped = []
    threading.Timer(1.0, stopped.append, [signal.SIGTERM]).start()
    started = time.perf_counter()
    assert list(solved(tasks_of(Arriving(time.sleep, 60), 2), 2, stopped)) == []
    assert time.perf_counter() - started < 30


def test_one_worker_is_this_process_and_stops_between_blocks():
    stopped = []
    for task, samples in solved(tasks_of(Poisson(modes=4), 3), 1, stopped):
        assert (task.indices, len(samples)) == (range(0, 1), 1)
        stopped.append(signal.SIGINT)


def test_no_task_starts_no_worker():
    assert list(solved([], 8, [])) == []
