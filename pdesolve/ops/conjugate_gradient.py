"""Preconditioned conjugate gradients for many symmetric positive definite systems at once."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Apply = Callable[[Tensor], Tensor]
# In a given precision: x -> A x, and r -> an approximation of A^-1 r.
System = Callable[[torch.dtype], tuple[Apply, Apply]]

# How far one pass lowers the residual. In float32 the true residual stops falling at about
# 1e-7 times the condition number of A, so that a longer pass would be lost work.
_REDUCTION = {torch.float32: 1e-3, torch.float64: 1e-12}
# A pass that does less than halve the residual has met the limit of its precision.
_PROGRESS = 0.5
# Keeps a residual of exactly zero from being divided by zero.
_SMALLEST = torch.finfo(torch.float64).tiny


def conjugate_gradient(
    apply: Apply,
    rhs: Float[Tensor, "b *grid"],
    precondition: Apply,
    *,
    target: Float[Tensor, " b"],
    max_iterations: int,
) -> tuple[Float[Tensor, "b *grid"], Int[Tensor, " b"]]:
    """Return x with ||rhs - A x||_2 <= target for each sample, and the iterations each one took.

    Every sample has its own step lengths and stands still once it has converged, so a batch
    gives what its samples give one by one. It also stands still when its arithmetic breaks down
    (overflow, a step of zero). The residual is the recursive one: the true one may stop falling
    earlier, by rounding, so compute it from x.

    Args:
        apply: x -> A x, symmetric positive definite for each sample.
        rhs: right-hand sides.
        precondition: r -> an approximation of A^-1 r, symmetric positive definite.
        target: norm of the residual to reach, in units of rhs.
        max_iterations: stop here in any case.

    Source: Hestenes and Stiefel 1952, doi:10.6028/jres.049.044; preconditioned as in Saad 2003,
    Iterative Methods for Sparse Linear Systems, algorithm 9.1.
    """
    solution = torch.zeros_like(rhs)
    residual = rhs.clone()
    direction = torch.zeros_like(rhs)
    descent = torch.ones_like(target)
    iterations = torch.zeros(len(rhs), dtype=torch.int64, device=rhs.device)
    active = _norm(residual) > target
    for _ in range(max_iterations):
        if not bool(active.any()):
            break
        correction = precondition(residual)
        descent, previous = _dot(residual, correction), descent
        direction = torch.addcmul(correction, _spread(_ratio(descent, previous), rhs), direction)
        image = apply(direction)
        step = _ratio(descent, _dot(direction, image)) * active
        solution.addcmul_(_spread(step, rhs), direction)
        residual.addcmul_(_spread(step, rhs), image, value=-1)
        iterations += active
        # NaN compares false: a sample that overflowed stops as well.
        active = active & (step > 0) & (_norm(residual) > target)
    return solution, iterations


def solve_refined(
    system: System, rhs: Float[Tensor, "b *grid"], *, tolerance: float, max_iterations: int
) -> tuple[Float[Tensor, "b *grid"], Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Return x with ||rhs - A x||_2 <= tolerance ||rhs||_2 in float64 at the price of float32.

    Conjugate gradients run in float32 on the float64 residual, pass after pass. Where float32
    stops helping (condition number near 1e7), the passes go on in float64. The number of
    iterations is about that of one float64 pass.

    Args:
        system: makes the operator and its preconditioner in the precision it is given.
        rhs: right-hand sides, float64.
        tolerance: relative, > 0; attainable down to about 1e-16 times the condition number.
        max_iterations: for all passes of a sample together; float32 gets the first half.

    Returns:
        x in float64, its relative residual (the true one), and iterations, per sample. A sample
        that stagnates is returned as it is: compare its residual with the tolerance.

    Source: iterative refinement as in Carson and Higham 2018, doi:10.1137/17M1140819.
    """
    exact, _ = system(torch.float64)
    solution, residual = torch.zeros_like(rhs), rhs
    norm = _norm(rhs)
    # Norms are relative from here on; a zero right-hand side is solved by zero.
    unit = torch.where(norm == 0, 1, norm)
    size = norm / unit
    iterations = torch.zeros(len(rhs), dtype=torch.int64, device=rhs.device)
    for dtype in (torch.float32, torch.float64):
        active = ~(size <= tolerance)
        if not bool(active.any()):
            break
        apply, precondition = system(dtype)
        # Float32 may wander without end where its rounding outweighs the smallest eigenvalue.
        budget = max_iterations // 2 if dtype == torch.float32 else max_iterations
        while bool(active.any()) and int(iterations.max()) < budget:
            # Unit size before the cast: float32 has the digits for a small residual, not the range.
            scale = _spread(unit * size.clamp(min=_SMALLEST), rhs)
            target = (tolerance / (2 * size)).clamp(min=_REDUCTION[dtype])
            correction, taken = conjugate_gradient(
                apply,
                (residual / scale).to(dtype),
                precondition,
                # The others have norm 1 or 0 and stand still.
                target=torch.where(active, target, 2.0).to(dtype),
                max_iterations=budget - int(iterations.max()),
            )
            candidate = solution + scale * correction
            remainder = rhs - exact(candidate)
            reached = _norm(remainder) / unit
            better = reached < size
            solution = torch.where(_spread(better, rhs), candidate, solution)
            residual = torch.where(_spread(better, rhs), remainder, residual)
            active = active & ~(reached <= tolerance) & (reached <= _PROGRESS * size)
            size = torch.where(better, reached, size)
            iterations += taken
    return solution, size, iterations


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x.flatten(1)[:, None] @ y.flatten(1)[:, :, None])[:, 0, 0]


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    # A sample whose residual is exactly zero has 0/0 here.
    return torch.where(denominator == 0, 0, numerator / denominator)


def _spread(per_sample: Tensor, like: Tensor) -> Tensor:
    return per_sample.view(-1, *(1,) * (like.ndim - 1))
