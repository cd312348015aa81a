"""Generalised minimal residuals for a linear system of tensors, right-preconditioned."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def gmres(
    operator: Callable[[Tensor], Tensor],
    right: Float[Tensor, "*n"],
    *,
    preconditioner: Callable[[Tensor], Tensor],
    tolerance: float,
    iterations: int = 60,
) -> tuple[Float[Tensor, "*n"], float, int]:
    """Return x with A x = right, its relative residual, and the steps taken.

    Right-preconditioned, so that the residual is that of the system itself. Without restarts:
    memory grows by one vector a step.

    Args:
        operator: A.
        right: right-hand side of any shape.
        preconditioner: about A⁻¹.
        tolerance: of ‖right - A x‖ / ‖right‖.
        iterations: at most so many steps.

    Source: Saad and Schultz 1986, doi 10.1137/0907058.
    """
    size = float(right.norm())
    if size == 0:
        return torch.zeros_like(right), 0.0, 0
    basis = [right / size]
    hessenberg = torch.zeros(iterations + 1, iterations, dtype=torch.float64)
    weights, residual, steps = torch.zeros(0, dtype=torch.float64), 1.0, 0
    while steps < iterations and residual > tolerance:
        vector = operator(preconditioner(basis[-1]))
        # Twice: one pass of Gram-Schmidt loses orthogonality when little is new.
        for _ in range(2):
            for i, direction in enumerate(basis):
                overlap = float((direction * vector).sum())
                hessenberg[i, steps] += overlap
                vector = vector - overlap * direction
        length = float(vector.norm())
        hessenberg[steps + 1, steps] = length
        steps += 1
        small = hessenberg[: steps + 1, :steps]
        target = torch.zeros(steps + 1, dtype=torch.float64)
        target[0] = 1.0
        weights = torch.linalg.lstsq(small, target[:, None], driver="gelsd").solution[:, 0]
        residual = float((target - small @ weights).norm())
        if length <= 1e-15 * float(small.norm()):
            break
        basis.append(vector / length)
    combined = sum(float(w) * v for w, v in zip(weights, basis, strict=False))
    return size * preconditioner(combined + torch.zeros_like(right)), residual, steps
