"""Error bars on a grid by perturbing and solving: one draw of prior and noise, one solve each.

    sample = mean + u_s - S(L u_s + e, B u_s),    u_s ~ prior,  e ~ noise of the source

S is the solver, L and B the equation and the boundary data; a nonlinear equation is linearised at
the solution (Laplace). Were S exact conditioning, these would be draws from the posterior
(Matheron's rule); it is collocation, so they are approximate, and their spread is the error that
the solver itself makes on functions drawn from the prior and on noise.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.gmres import gmres
from ..ops.kronecker import apply, mode_product
from .denoised import Denoised
from .expansion import Expansion
from .kronecker_form import KroneckerForm
from .problem import Problem
from .product_basis import Points
from .slabs import Solved
from .tensor_basis import OrthonormalBasis, automatic_test_spaces

_TOLERANCE, _ITERATIONS = 1e-10, 60


def samples(
    problem: Problem,
    expansion: Solved,
    count: int,
    generator: torch.Generator,
    *,
    noise: float = 0.0,
) -> list[Expansion]:
    """Return draws around the solution of a problem in two or three dimensions.

    Args:
        problem: that was solved, `GPSolution.problem`.
        expansion: its solution.
        count: draws; each costs about one solve.
        generator: of random numbers, on the CPU.
        noise: standard deviation of the source on the nodes.

    Raises:
        ValueError: the solution is in slabs of time, or of a kernel that the user gave.
    """
    bases = _bases(expansion)
    assert isinstance(expansion, Expansion)
    form = KroneckerForm(problem, bases, automatic_test_spaces(problem.functionals, len(bases)))
    linearised = form.linearised_at(expansion.core)
    back = [torch.linalg.pinv(b.transform) for b in bases]
    scale = _scale(problem, bases, expansion.core)
    result = []
    for _ in range(count):
        shape = [b.transform.shape[0] for b in bases]
        weights = torch.randn(shape, generator=generator, dtype=torch.float64)
        drawn = scale * apply(back, weights.to(expansion.core))
        wanted = _noise(form, noise, generator) if noise else torch.zeros_like(form.start())
        edges = _lifted(form, -drawn)
        image = linearised.applied(drawn + edges) - wanted
        free, _, _ = gmres(
            linearised.apply, -image, preconditioner=linearised.precondition,
            tolerance=_TOLERANCE, iterations=_ITERATIONS,
        )  # fmt: skip
        core = expansion.core + drawn + edges + form.spread(free)
        result.append(replace(expansion, core=core))
    return result


def _scale(problem: Problem, bases: list[OrthonormalBasis], core: Tensor) -> float:
    """Return the standard deviation of coefficients whose functions are as large as the solution.

    Not that of its own coefficients: those of functions that are mostly rounding can be anything.
    """
    volume = math.prod(axis.length for axis in problem.axes)
    # φ(x)ᵀ φ(x') is the kernel, which is the same at all x = x'.
    kernels = [
        float(b.features(axis.nodes[:1]).square().sum())
        for b, axis in zip(bases, problem.axes, strict=True)
    ]
    return float(core.norm()) / math.sqrt(volume * math.prod(kernels))


def _noise(form: KroneckerForm, noise: float, generator: torch.Generator) -> Tensor:
    """Return tested white noise on the nodes, of which a source that was denoised keeps a part."""
    shape = [len(x) for x in form.problem.nodes]
    field = noise * torch.randn(shape, generator=generator, dtype=torch.float64)
    field, source = field.to(form.problem.device), form.problem.fields.get("source")
    if isinstance(source, Denoised):
        field = source.filtered(field)
    return form.tested(field, slice(None))


def _lifted(form: KroneckerForm, core: Tensor) -> Float[Tensor, "*r"]:
    """Return coefficients with the boundary data of others, see `KroneckerForm.lifted`."""
    total = torch.zeros_like(core)
    for j, axis in enumerate(form.forms):
        if axis.functionals:
            rows = mode_product(axis.conditions, core - total, j - core.ndim)
            total = total + mode_product(axis.lift, rows, j - core.ndim)
    return total


def spread(
    problem: Problem,
    expansion: Solved,
    points: Points,
    *,
    noise: float,
    draws: int,
    seed: int = 0,
) -> Float[Tensor, "*n"]:
    """Return the standard deviation of u at points by so many draws around a solution."""
    generator = torch.Generator().manual_seed(seed)
    drawn = samples(problem, expansion, draws, generator, noise=noise)
    mean = expansion(points)
    return torch.stack([draw(points) - mean for draw in drawn]).square().mean(0).sqrt()


def _bases(expansion: Solved) -> list[OrthonormalBasis]:
    bases = expansion.bases if isinstance(expansion, Expansion) else []
    known = [basis for basis in bases if isinstance(basis, OrthonormalBasis)]
    if not known or len(known) < len(bases):
        kinds = ", ".join(sorted({type(b).__name__ for b in expansion.bases}))
        raise ValueError(
            f"expansion is {type(expansion).__name__} of {kinds}, expected one expansion of bands: "
            "draw around the solution of a shorter time, or one without kernel="
        )
    return known
