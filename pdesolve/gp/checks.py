"""What is wrong with a problem or its solution though every step went through."""

import math

import numpy as np
import torch
from torch import Tensor

from .attempt import Attempt
from .axis import Axis
from .jet import Orders
from .misfit import misfits
from .problem import Problem
from .slabs import Slabs, Solved
from .snapshots import snapshots
from .spectrum import pursue
from .tensor_basis import Form, OrthonormalBasis

# Points per wavelength that a solve is promised to work with.
PROMISED = 2.4
# A mode that grows by this from the face with the data to the other end is not determined by them.
_GROWTH = 1e10
_SMOOTH = 1e-6
# Places an axis where the residual is looked at again, and how much larger it may be there.
_PROBES, _WORSE = 40, 30.0


def ill_posed(problem: Problem) -> str:
    """Return what makes marching from one-sided data impossible, "" if nothing does.

    Along an axis whose conditions all lie at one end, modes exp(rx) of the highest frequencies of
    the other axes must not grow: r are the roots of the symbol.
    """
    d = len(problem.axes)
    for j, axis in enumerate(problem.axes):
        ends = {f.position for f in problem.functionals if f.axis == j}
        if d == 1 or len(ends) != 1:
            continue
        for other in (i for i in range(d) if i != j):
            angle = math.pi * problem.axes[other].nyquist
            degree = problem.jet.highest(j)
            coefficients = np.zeros(degree + 1, complex)
            for orders, c in problem.symbol.items():
                if sum(orders) == orders[j] + orders[other]:
                    coefficients[orders[j]] += c * (1j * angle) ** orders[other]
            if not np.any(coefficients[1:]):
                continue
            outward = 1.0 if ends == {0.0} else -1.0
            growth = max((outward * r.real for r in np.roots(coefficients[::-1])), default=0.0)
            if growth * axis.length > math.log(_GROWTH):
                return (
                    f"all conditions across axis {j} lie at one end, from where modes grow like "
                    f"exp({growth:.3g} x): the problem is ill-posed; give data at both ends of an "
                    "elliptic axis, and initial rather than final data to diffusion"
                )
    return ""


def under_resolved(problem: Problem) -> str:
    """Return on which axis the data have too few points per wavelength, "" if on none.

    In one dimension the source is read at the midpoints too, which shows lines that are aliases
    on the nodes.
    """
    for j, (axis, data) in enumerate(zip(problem.axes, snapshots(problem), strict=True)):
        finer = axis
        if len(problem.axes) == 1:
            points = torch.cat([axis.nodes, axis.midpoints]).sort()[0]
            finer = Axis(points, axis.length, axis.periodic, axis.spacing)
            data = problem.source([points])[:, None]
        if not bool(data.any()):
            continue
        spectrum = pursue(data, finer, width=4.0)
        top = max(spectrum.lines, default=0.0)
        points_of_wave = 2 * axis.nyquist / max(top, 1e-300)
        if points_of_wave < PROMISED and not spectrum.broad:
            return (
                f"the data have a line at {top:.4g} cycles per length along axis {j}, "
                f"{points_of_wave:.3g} points per wavelength, fewer than {PROMISED}: refine the "
                f"axis to {math.ceil(len(axis.nodes) * PROMISED / points_of_wave)} points or more"
            )
    return ""


def aliased(problem: Problem, attempt: Attempt, allowed: float) -> str:
    """Return that the data are others away from nodes and midpoints, "" if they are not.

    Lines that differ by a multiple of four Nyquist frequencies are the same on nodes and midpoints.
    """
    generator = torch.Generator().manual_seed(0)
    points = [
        axis.length * torch.rand(min(_PROBES, len(axis.nodes)), generator=generator).double()
        for axis in problem.axes
    ]
    places = [p.sort()[0].to(problem.device) for p in points]
    residual, boundary = misfits(problem, attempt.expansion, places)
    found = max(residual, boundary)
    if found <= _WORSE * max(allowed, attempt.residual, attempt.boundary):
        return ""
    return (
        f"away from nodes and midpoints the residual is {residual:.1e} and the boundary misfit "
        f"{boundary:.1e}: the data have waves that the grid takes for longer ones, refine it to "
        f"more than {PROMISED} points for each of them"
    )


def indefinite(problem: Problem, expansion: Solved) -> str:
    """Return that the linearisation at a solution has eigenvalues of both signs, "" if not.

    Then a nonlinear problem with data on all faces may have several solutions. In two and three
    dimensions the coefficients are replaced by their means.
    """
    ends = [len({f.position for f in problem.functionals if f.axis == j})
            for j, axis in enumerate(problem.axes) if not axis.periodic]  # fmt: skip
    if isinstance(expansion, Slabs) or problem.linear or any(count < 2 for count in ends):
        return ""
    coefficients = _coefficients(problem, expansion)
    values = torch.zeros((), dtype=torch.float64, device=problem.device)
    for j in range(len(problem.axes)):
        own = {o[j]: c for o, c in coefficients.items() if sum(o) == o[j] and (o[j] or j == 0)}
        values = values[..., None] + _eigenvalues(problem, expansion, j, own)
    main = torch.sign(values.flatten()[values.abs().argmax()])
    opposite = int((main * values < 0).sum())
    if not opposite:
        return ""
    return (
        f"the linearisation at the solution is indefinite ({opposite} eigenvalues of the other "
        f"sign, up to {float((-main * values).max()):.3g}): there may be other solutions of the "
        "same problem; compare with one on a finer grid"
    )


def _coefficients(problem: Problem, expansion: Solved) -> dict[Orders, Tensor]:
    """Return the linearisation: fields on a fine grid of one dimension, means of several."""
    points = _fine(problem, 0) if len(problem.axes) == 1 else None
    fields = [
        problem.jet.linearised(derivatives, problem.known(block)).flatten(1)
        for _, block, derivatives in expansion.blocks(
            problem.nodes if points is None else [points], problem.jet.orders
        )
    ]
    whole = torch.cat(fields, dim=1)
    return dict(zip(problem.jet.orders, whole.mean(1) if points is None else whole, strict=True))


def _eigenvalues(
    problem: Problem, expansion: Solved, j: int, coefficients: dict[int, Tensor]
) -> Tensor:
    """Return those of the symmetric part of Σ c ∂ⁿ among functions without boundary data."""
    axis, basis = problem.axes[j], expansion.bases[j]
    features = basis.features if isinstance(basis, OrthonormalBasis) else basis
    # The smooth part alone: high derivatives of functions that are mostly rounding have any sign.
    smooth = OrthonormalBasis.of(features, axis, least=_SMOOTH)
    functionals = [f for f in problem.functionals if f.axis == j]
    inside = Form(smooth, axis, functionals, problem.jet.highest(j), "galerkin").inside
    x = _fine(problem, j)
    applied = sum(c[..., None] * smooth(x, n) for n, c in coefficients.items())
    matrix = inside.T @ (smooth(x).T @ applied) @ inside * (axis.length / len(x))
    return torch.linalg.eigvalsh((matrix + matrix.T) / 2)


def _fine(problem: Problem, j: int) -> Tensor:
    """Return the centres of cells four times as many as nodes, for sums that are integrals."""
    axis = problem.axes[j]
    count = 4 * len(axis.nodes)
    return (torch.arange(count).to(axis.nodes) + 0.5) * (axis.length / count)
