import pytest
import torch

from pdesolve import ConvergenceError, Grid, Solution

GRID = Grid((4,), 1.0, True)


def solution(*converged: bool) -> Solution:
    return Solution(torch.zeros(len(converged), 1, 4), GRID, torch.tensor(converged))


def test_a_converged_solution_passes_its_check():
    assert solution(True, True).checked().message == "converged"


def test_a_failed_solution_raises_with_itself_inside():
    failed = solution(True, False)
    with pytest.raises(ConvergenceError, match="1 of 2 samples did not converge") as caught:
        failed.checked()
    assert caught.value.solution is failed


def test_a_failed_solution_is_returned_on_request():
    assert not solution(False).checked(raise_on_failure=False).converged.any()
