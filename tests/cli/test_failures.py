import errno
import signal

import pytest
import torch
from hydra.errors import ConfigCompositionException
from omegaconf.errors import ConfigKeyError

from pdesolve import ConvergenceError, Grid, Solution
from pdesolve.cli.failures import Stopped, UsageError, exit_code_of
from pdesolve.datasets.errors import DataError

UNSOLVED = Solution(torch.zeros(1, 1, 4), Grid((4,), 1.0, True), torch.tensor([False]))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (ConfigCompositionException("x"), 2),
        (ConfigKeyError("x"), 2),
        (ValueError("modes are larger than the grid"), 2),
        (DataError("x"), 3),
        (FileNotFoundError("x"), 3),
        (OSError(errno.ENOSPC, "no space left"), 3),
        (ConvergenceError(UNSOLVED), 4),
        (ArithmeticError("loss is NaN"), 4),
        (KeyboardInterrupt(), 130),
        (Stopped(signal.SIGINT, "x"), 130),
        (Stopped(signal.SIGTERM, "x"), 143),
    ],
)
def test_exit_codes(error, code):
    assert exit_code_of(error) == code


@pytest.mark.parametrize("bug", [RuntimeError("x"), KeyError("x"), AssertionError(), SystemExit(0)])
def test_a_bug_keeps_its_traceback(bug):
    assert exit_code_of(bug) is None
