"""Unknown parameters of an equation from sensors: least squares through the solver.

    minimise  ½ Σ_i ((u_θ(x_i) - y_i) / σ)² + ½ Σ_j ((θ_j - m_j) / s_j)²,      F(u_θ, θ) = 0

The tested residual F is differentiated where it vanishes, so that no step of the solver is:
du/dθ = -F_u⁻¹ F_θ for Gauss-Newton, and one adjoint solve F_uᵀ λ = g for a gradient.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops.gmres import gmres
from ..ops.kronecker import apply
from ..ops.kronecker_sum import KroneckerSum
from .expansion import Expansion
from .kronecker_form import KroneckerForm, Linearisation
from .many_dimensions import solve_many_dimensions
from .nonlinear import solve_newton
from .one_dimension import solve_one_dimension
from .problem import problem_of
from .tensor_basis import OrthonormalBasis, automatic_test_spaces

_STEPS, _SMALLEST_DAMPING, _DONE = 30, 1 / 64, 1e-10
_TOLERANCE = 1e-10

# Parameters to what `problem_of` takes: equation, source, boundary, fields.
Model = Callable[[Tensor], Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Sensors:
    """Measured values of u.

    Args:
        points: where (n, d).
        values: what (n,).
        noise: standard deviation σ of each, > 0.
    """

    points: Float[Tensor, "n d"]
    values: Float[Tensor, " n"]
    noise: float


@dataclass(frozen=True, eq=False)
class Inferred:
    """Parameters and what is known of them.

    Args:
        parameters: θ (p,).
        covariance: of their posterior (p, p), by Laplace.
        solution: u for these parameters.
        objective: the minimised sum.
        steps: Gauss-Newton steps taken.
        converged: whether the last step was negligible.
    """

    parameters: Float[Tensor, " p"]
    covariance: Float[Tensor, "p p"]
    solution: Expansion
    objective: float
    steps: int
    converged: bool

    @property
    def std(self) -> Float[Tensor, " p"]:
        """Standard deviation of each parameter."""
        return self.covariance.diagonal().sqrt()


class SensorMisfit:
    """The objective of one inverse problem with fixed bases.

    Args:
        model: θ to the arguments `equation`, `source`, `boundary` and `fields` of `solve`, by
            differentiable torch code.
        grid: of the solution.
        sensors: measurements.
        start: θ where the bases are chosen.
        prior: mean and standard deviation of each parameter; None is flat.
    """

    def __init__(
        self,
        model: Model,
        grid: Grid,
        sensors: Sensors,
        start: Float[Tensor, " p"],
        prior: tuple[Tensor, Tensor] | None = None,
    ):
        self._model, self._grid, self._sensors, self._prior = model, grid, sensors, prior
        problem = problem_of(grid=grid, **model(start))
        search = solve_one_dimension if grid.dims == 1 else solve_many_dimensions
        found, _ = search(problem)
        if not isinstance(found.expansion, Expansion):
            raise ValueError(
                "start leads to an evolution that is solved in slabs of time, expected one that a "
                "single expansion holds: infer from a shorter time, or start from other parameters"
            )
        self._bases = [
            b if isinstance(b, OrthonormalBasis) else OrthonormalBasis.of(b, axis)  # pyright: ignore
            for b, axis in zip(found.expansion.bases, problem.axes, strict=True)
        ]
        at = sensors.points.to(problem.device)
        # u at the sensors is linear in the core: one row of every basis for each of them.
        self._rows = [basis(at[:, j]) for j, basis in enumerate(self._bases)]

    def form(self, parameters: Float[Tensor, " p"]) -> KroneckerForm:
        """Return the system for these parameters."""
        problem = problem_of(grid=self._grid, **self._model(parameters))
        spaces = automatic_test_spaces(problem.functionals, self._grid.dims)
        return KroneckerForm(problem, self._bases, spaces)

    def predicted(self, core: Float[Tensor, "*r"]) -> Float[Tensor, " n"]:
        """Return u at the sensors."""
        value = core[None].expand(len(self._rows[0]), *core.shape)
        for rows in self._rows:
            value = torch.einsum("nr...,nr->n...", value, rows)
        return value

    def deviations(self, core: Float[Tensor, "*r"], parameters: Float[Tensor, " p"]) -> Tensor:
        """Return what the objective is half the square of."""
        parts = [(self.predicted(core) - self._sensors.values) / self._sensors.noise]
        if self._prior is not None:
            parts.append((parameters - self._prior[0]) / self._prior[1])
        return torch.cat(parts)

    def solved(self, parameters: Float[Tensor, " p"]) -> tuple[KroneckerForm, Tensor]:
        """Return the system and the unknown part W of its solution."""
        form = self.form(parameters.detach())
        core = solve_newton(form).core
        return form, apply([f.inside.T for f in form.forms], core - form.lifted)

    def gradient(self, parameters: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " p"]]:
        """Return the objective and its gradient by one adjoint solve, whatever p is."""
        form, free = self.solved(parameters)
        theta = parameters.detach().clone().requires_grad_()
        inner = free.detach().clone().requires_grad_()
        own = self.form(theta)
        objective = self.deviations(own.core(inner), theta).square().sum() / 2
        on_free, on_theta = torch.autograd.grad(
            objective, [inner, theta], allow_unused=True, retain_graph=True
        )
        linearised = form.linearised_at(form.core(free))
        adjoint = _adjoint_solve(form, linearised, on_free)
        residual = own.residual(own.core(inner.detach()))
        (through,) = torch.autograd.grad((residual * adjoint).sum(), [theta], allow_unused=True)
        parts = [g for g in (on_theta, None if through is None else -through) if g is not None]
        return float(objective.detach()), sum(parts[1:], parts[0])

    def jacobian(
        self, parameters: Float[Tensor, " p"]
    ) -> tuple[KroneckerForm, Tensor, Tensor, Tensor]:
        """Return the system, its core, the deviations and their Jacobian (n, p)."""
        form, free = self.solved(parameters)
        core = form.core(free)
        linearised = form.linearised_at(core)
        columns = []
        for direction in torch.eye(len(parameters)).to(parameters):
            change = _directional(lambda t: self.form(t).residual(self.form(t).core(free)),
                                  parameters, direction)  # fmt: skip
            step, _, _ = gmres(
                linearised.apply, -change,
                preconditioner=linearised.precondition, tolerance=_TOLERANCE,
            )  # fmt: skip
            lifted = _directional(lambda t: self.form(t).lifted, parameters, direction)
            columns.append(self._slope(lifted + form.spread(step), direction))
        return form, core, self.deviations(core, parameters), torch.stack(columns, 1)

    def _slope(self, change: Tensor, direction: Tensor) -> Tensor:
        parts = [self.predicted(change) / self._sensors.noise]
        if self._prior is not None:
            parts.append(direction / self._prior[1])
        return torch.cat(parts)


def infer(
    model: Model,
    grid: Grid,
    sensors: Sensors,
    start: Sequence[float] | Float[Tensor, " p"],
    *,
    prior: tuple[Float[Tensor, " p"], Float[Tensor, " p"]] | None = None,
) -> Inferred:
    """Return the parameters that explain the sensors, by damped Gauss-Newton, with their posterior.

    Args:
        model: θ to the arguments `equation`, `source`, `boundary` and `fields` of `solve`.
        grid: of the solution.
        sensors: measurements.
        start: θ to begin with; within the basin of the answer, since phases wrap.
        prior: mean and standard deviation of each parameter.

    Source: Chen, Hosseini, Owhadi and Stuart 2021, arXiv:2103.12959, section on inverse problems.
    """
    theta = torch.as_tensor(start, dtype=torch.float64)
    misfit = SensorMisfit(model, grid, sensors, theta, prior)
    form, core, deviations, slopes = misfit.jacobian(theta)
    converged, steps = False, 0
    while steps < _STEPS and not converged:
        steps += 1
        step = torch.linalg.lstsq(slopes, -deviations[:, None]).solution[:, 0]
        damping, size = 1.0, float(deviations.norm())
        while True:
            trial = theta + damping * step
            new_form, free = misfit.solved(trial)
            reached = float(misfit.deviations(new_form.core(free), trial).norm())
            if reached <= size * (1 + 1e-12) or damping <= _SMALLEST_DAMPING:
                break
            damping /= 2
        converged = float((damping * step).norm()) <= _DONE * max(float(trial.norm()), 1e-300)
        converged = converged or abs(size - reached) <= _DONE * size
        theta = trial
        form, core, deviations, slopes = misfit.jacobian(theta)
    covariance = torch.linalg.inv(slopes.T @ slopes)
    objective = float(deviations.square().sum()) / 2
    good = converged and math.isfinite(objective)
    return Inferred(theta, covariance, form.expansion(core), objective, steps, good)


def _directional(function: Callable[[Tensor], Tensor], at: Tensor, direction: Tensor) -> Tensor:
    """Return a derivative along a direction, by two reverse sweeps: all that the model needs."""
    at = at.detach().clone().requires_grad_()
    value = function(at)
    if not value.requires_grad:
        return torch.zeros_like(value)
    dummy = torch.zeros_like(value, requires_grad=True)
    (back,) = torch.autograd.grad(value, at, dummy, create_graph=True, allow_unused=True)
    if back is None:
        return torch.zeros_like(value)
    return torch.autograd.grad(back, dummy, direction)[0].detach()


def _adjoint_solve(form: KroneckerForm, linearised: Linearisation, right: Tensor) -> Tensor:
    """Return λ with F_uᵀ λ = right, preconditioned by the transposed Kronecker sum."""
    point = torch.zeros_like(right, requires_grad=True)
    with torch.enable_grad():
        image = linearised.apply(point)

    def transposed(v: Tensor) -> Tensor:
        return torch.autograd.grad(image, point, v, retain_graph=True)[0]

    inverses = [f.tested_inverse.T for f in form.forms]
    operator = KroneckerSum([m.T.contiguous() for m in linearised.operator.matrices])

    def precondition(v: Tensor) -> Tensor:
        return apply(inverses, operator.solve(v, shift=linearised.shift))

    return gmres(transposed, right, preconditioner=precondition, tolerance=_TOLERANCE)[0]
