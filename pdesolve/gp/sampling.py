"""Error bars on a grid by perturbing and solving: one draw of prior and noise, one solve each.

    sample = mean + u_s - S(L u_s + e, B u_s),    u_s ~ prior,  e ~ noise of the source

S is the solver. Were it exact conditioning, these would be draws from the posterior (Matheron's
rule); it is collocation, so they are approximate, and their spread is the error that the solver
itself makes on functions drawn from the prior and on noise.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.gmres import gmres
from ..ops.kronecker import apply, mode_product
from .expansion import Expansion
from .kronecker_form import KroneckerForm
from .problem import Problem
from .tensor_basis import OrthonormalBasis, automatic_test_spaces

_TOLERANCE, _ITERATIONS = 1e-10, 60


def samples(
    problem: Problem,
    expansion: Expansion,
    count: int,
    generator: torch.Generator,
    *,
    noise: float = 0.0,
) -> list[Expansion]:
    """Return draws around the solution of a linear problem in two or three dimensions.

    Args:
        problem: that was solved, `GPSolution.problem`.
        expansion: its solution.
        count: draws; each costs about one solve.
        generator: of random numbers, on the CPU.
        noise: standard deviation of the source on the nodes.

    Raises:
        ValueError: the problem is not linear.
    """
    if not problem.linear:
        raise ValueError(
            "the problem is not linear, expected one whose solver is a linear map: linearise it "
            "at its solution first"
        )
    bases: list[OrthonormalBasis] = list(expansion.bases)  # pyright: ignore[reportAssignmentType]
    form = KroneckerForm(problem, bases, automatic_test_spaces(problem.functionals, len(bases)))
    linearised = form.linearised_at(expansion.core)
    whole = [b.transform for b in bases]
    back = [torch.linalg.pinv(t) for t in whole]
    coefficients = apply(whole, expansion.core)
    scale = float(coefficients.norm()) / coefficients.numel() ** 0.5
    result = []
    for _ in range(count):
        weights = torch.randn(coefficients.shape, generator=generator, dtype=torch.float64)
        drawn = scale * apply(back, weights.to(expansion.core))
        wanted = _noise(form, noise, generator) if noise else torch.zeros_like(form.start())
        edges = _lifted(form, -drawn)
        image = _applied(form, drawn + edges) - wanted
        free, _, _ = gmres(
            linearised.apply, -image, preconditioner=linearised.precondition,
            tolerance=_TOLERANCE, iterations=_ITERATIONS,
        )  # fmt: skip
        core = expansion.core + drawn + edges + form.spread(free)
        result.append(replace(expansion, core=core))
    return result


def _noise(form: KroneckerForm, noise: float, generator: torch.Generator) -> Tensor:
    """Return tested white noise on the nodes."""
    shape = [len(x) for x in form.problem.nodes]
    field = noise * torch.randn(shape, generator=generator, dtype=torch.float64)
    return form.tested(field.to(form.problem.device), slice(None))


def _lifted(form: KroneckerForm, core: Tensor) -> Float[Tensor, "*r"]:
    """Return coefficients with the boundary data of others, see `KroneckerForm.lifted`."""
    total = torch.zeros_like(core)
    for j, axis in enumerate(form.forms):
        if axis.functionals:
            rows = mode_product(axis.conditions, core - total, j - core.ndim)
            total = total + mode_product(axis.lift, rows, j - core.ndim)
    return total


def _applied(form: KroneckerForm, core: Tensor) -> Tensor:
    """Return the tested operator on coefficients, without the source."""
    return form.residual(core) - form.residual(torch.zeros_like(core))
