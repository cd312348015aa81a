"""GMRES against dense solutions."""

import pytest
import torch

from pdesolve.ops.gmres import gmres


def system(n=12):
    generator = torch.Generator().manual_seed(0)
    matrix = 3 * torch.eye(n).double() + torch.randn(n, n, generator=generator).double() / 3
    return matrix, torch.randn(n, generator=generator).double()


@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_solution_is_that_of_a_dense_solve(preconditioned, device):
    matrix, right = (part.to(device) for part in system())
    rough = torch.linalg.inv(matrix + 0.1 * torch.diag(right)) if preconditioned else None
    found, residual, steps = gmres(
        lambda v: matrix @ v, right, tolerance=1e-12,
        preconditioner=(lambda v: v) if rough is None else (lambda v: rough @ v),
    )  # fmt: skip
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right))
    assert residual <= 1e-12
    assert steps <= 13


def test_an_exact_preconditioner_needs_one_step():
    matrix, right = system()
    inverse = torch.linalg.inv(matrix)
    _, _, steps = gmres(
        lambda v: matrix @ v, right, preconditioner=lambda v: inverse @ v, tolerance=1e-10
    )
    assert steps == 1


def test_fields_of_any_shape_and_the_residual_that_was_reached():
    matrix, _ = system(6)
    right = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).double()
    found, residual, steps = gmres(
        lambda v: matrix @ v, right, preconditioner=lambda v: v, tolerance=1e-12, iterations=3
    )
    reached = float((right - matrix @ found).norm() / right.norm())
    assert (steps, reached) == (3, pytest.approx(residual, rel=1e-8))


def test_zero_is_solved_by_zero():
    found, residual, steps = gmres(
        lambda v: v, torch.zeros(3), preconditioner=lambda v: v, tolerance=0.1
    )
    assert (residual, steps) == (0.0, 0) and not found.any()
