"""Calls in another process, some of which kill it."""

import os
from pathlib import Path

import pytest

from pdesolve.cli.apart import Crashed, apart


def test_a_call_returns_what_the_function_returns_from_another_process():
    with apart() as call:
        assert call(int, "7") == 7
        assert call(os.getpid) != os.getpid()


def test_a_crash_is_an_error_and_the_next_call_works():
    with apart() as call:
        with pytest.raises(Crashed):
            call(os.abort)
        assert call(int, "7") == 7


def test_an_error_is_that_of_the_function():
    with apart() as call, pytest.raises(FileNotFoundError):
        call(Path.read_text, Path("nowhere"))
