"""Conjugate gradients against dense solves."""

import pytest
import torch

from pdesolve.ops.conjugate_gradient import conjugate_gradient, solve_refined


def matrices(condition: float, samples: int = 3, size: int = 12) -> torch.Tensor:
    """Return symmetric positive definite matrices with eigenvalues from 1 to `condition`."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(samples, size, size, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(noise).Q
    eigenvalues = torch.logspace(0, torch.tensor(condition).log10(), size, dtype=torch.float64)
    return basis * eigenvalues @ basis.mT


def system_of(matrix: torch.Tensor):
    def system(dtype: torch.dtype):
        a = matrix.to(dtype)
        jacobi = 1 / a.diagonal(dim1=1, dim2=2)
        return (lambda x: (a @ x[..., None])[..., 0]), lambda r: jacobi * r

    return system


def right_hand_sides() -> torch.Tensor:
    return torch.linspace(-1, 2, 36, dtype=torch.float64).view(3, 12)


def test_solution_is_that_of_a_dense_solve_in_at_most_n_iterations(device):
    matrix, rhs = matrices(10.0).to(device), right_hand_sides().to(device)
    x, iterations = conjugate_gradient(
        *interleaved(system_of(matrix), rhs), target=1e-12 * rhs.norm(dim=1), max_iterations=100
    )
    torch.testing.assert_close(x, torch.linalg.solve(matrix, rhs), rtol=1e-10, atol=1e-12)
    assert int(iterations.max()) <= 13


def interleaved(system, rhs: torch.Tensor):
    apply, precondition = system(rhs.dtype)
    return apply, rhs, precondition


def test_every_sample_stops_at_its_own_target():
    rhs = right_hand_sides()
    target = torch.tensor([1e-2, 1e-10, 100.0], dtype=torch.float64)
    matrix = matrices(100.0)
    x, iterations = conjugate_gradient(
        *interleaved(system_of(matrix), rhs), target=target, max_iterations=100
    )
    residual = (rhs - (matrix @ x[..., None])[..., 0]).norm(dim=1)
    assert bool((residual <= 1.01 * target).all()) and float(residual[0]) > 1e-10
    assert 0 == int(iterations[2]) < int(iterations[0]) < int(iterations[1])


def test_iterations_are_limited():
    rhs = right_hand_sides()
    _, iterations = conjugate_gradient(
        *interleaved(system_of(matrices(1e6)), rhs), target=0 * rhs[:, 0], max_iterations=4
    )
    assert iterations.tolist() == [4, 4, 4]


# The last is attainable in float64 only; rounding of A x alone is 1e-8 there.
@pytest.mark.parametrize(("condition", "tolerance"), [(10.0, 1e-11), (1e4, 1e-11), (1e8, 1e-6)])
def test_refined_residual_reaches_the_tolerance(condition, tolerance, device):
    matrix, rhs = matrices(condition).to(device), right_hand_sides().to(device)
    x, residual, _ = solve_refined(system_of(matrix), rhs, tolerance=tolerance, max_iterations=1000)
    true = (rhs - (matrix @ x[..., None])[..., 0]).norm(dim=1) / rhs.norm(dim=1)
    assert float(true.max()) <= tolerance
    torch.testing.assert_close(residual, true, rtol=1e-3, atol=0)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_systems_outside_the_range_of_float32_are_solved_in_float64(scale):
    matrix, rhs = matrices(10.0), right_hand_sides()
    x, residual, _ = solve_refined(
        system_of(scale * matrix), rhs, tolerance=1e-12, max_iterations=200
    )
    assert float(residual.max()) <= 1e-12
    torch.testing.assert_close(scale * x, torch.linalg.solve(matrix, rhs), rtol=1e-9, atol=1e-11)


def test_refinement_returns_the_best_where_the_tolerance_is_out_of_reach():
    matrix, rhs = matrices(1e6), right_hand_sides()
    _, residual, iterations = solve_refined(
        system_of(matrix), rhs, tolerance=1e-30, max_iterations=1000
    )
    assert float(residual.max()) < 1e-9 and int(iterations.max()) < 1000


def test_zero_and_nan_right_hand_sides_leave_the_others_alone():
    rhs = right_hand_sides()
    rhs[0], rhs[1, 3] = 0.0, float("nan")
    matrix = matrices(10.0)
    x, residual, _ = solve_refined(system_of(matrix), rhs, tolerance=1e-12, max_iterations=100)
    assert x[0].tolist() == [0.0] * 12 and residual[0] == 0
    assert bool(residual[1].isnan())
    torch.testing.assert_close(x[2], torch.linalg.solve(matrix[2], rhs[2]), rtol=1e-10, atol=1e-12)
