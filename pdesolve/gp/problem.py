"""Everything that is given: equation, grid, fields and boundary data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .axis import SPACING, Axis, axes_of
from .boundary import Boundary, Functional, functionals_of
from .jet import Jet, Orders, jet_of
from .known import Field, Given, Interpolant, known_values

# Points on which an equation is sampled to see whether it is linear.
_SAMPLED = 500


@dataclass(frozen=True, eq=False)
class Problem:
    """A boundary value problem on a tensor product grid.

    Args:
        jet: the equation.
        grid: where its solution is wanted.
        axes: of the grid.
        fields: given fields by name; stored ones as interpolants.
        functionals: boundary conditions.
    """

    jet: Jet
    grid: Grid
    axes: Sequence[Axis]
    fields: Mapping[str, Given]
    functionals: Sequence[Functional]

    @property
    def nodes(self) -> list[Tensor]:
        """Nodes of each axis."""
        return [axis.nodes for axis in self.axes]

    @property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return self.axes[0].nodes.device

    def known(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "q *n"]:
        """Return what the residual reads of the given fields, at a tensor product of points."""
        return known_values(self.fields, self.jet.known_orders, points)

    def zero(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "k *n"]:
        """Return the derivatives of u = 0 at a tensor product of points."""
        return points[0].new_zeros(len(self.jet.orders), *(len(x) for x in points))

    def source(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "*n"]:
        """Return f = -R(0), what the equation asks of a solution of its homogeneous part."""
        return -self.jet.value(self.zero(points), self.known(points))

    @cached_property
    def linear(self) -> bool:
        """Whether the residual is affine in u."""
        return self.jet.is_linear(self._sampled_known)

    @cached_property
    def symbol(self) -> dict[Orders, float]:
        """Mean coefficients of the linearisation at u = 0."""
        known = self._sampled_known
        zero = known.new_zeros(len(self.jet.orders), known.shape[1])
        means = self.jet.linearised(zero, known).mean(1)
        return dict(zip(self.jet.orders, means.tolist(), strict=True))

    @cached_property
    def constant(self) -> bool:
        """Whether the equation is linear with constant coefficients."""
        known = self._sampled_known
        zero = known.new_zeros(len(self.jet.orders), known.shape[1])
        spread = self.jet.linearised(zero, known)
        return self.linear and bool(
            (spread.amax(1) - spread.amin(1)).max() <= 1e-12 * spread.abs().max()
        )

    def check_finite(self) -> None:
        """Raise ValueError for given fields or boundary data that are not finite."""
        known = zip(self.jet.known_orders, self._sampled_known, strict=True)
        named = [
            (f"derivative {orders} of {name}" if any(orders) else name, row)
            for (name, orders), row in known
        ]
        named += [
            (f"boundary data of axis {f.axis} at {f.position:g}", f.data(self._sampled))
            for f in self.functionals
        ]
        for name, values in named:
            if not bool(torch.isfinite(values).all()):
                raise ValueError(
                    f"{name} has a NaN or infinity on the grid, expected finite values: look where "
                    "its formula has a root or a pole, or move the box away from it"
                )

    @cached_property
    def _sampled_known(self) -> Float[Tensor, "q n"]:
        return self.known(self._sampled).flatten(1)

    @property
    def _sampled(self) -> list[Tensor]:
        per_axis = max(2, int(_SAMPLED ** (1 / len(self.axes))))
        return [
            axis.nodes[torch.linspace(0, len(axis.nodes) - 1, per_axis).long()]
            for axis in self.axes
        ]


def problem_of(
    equation: Any,
    grid: Grid,
    *,
    source: Given | None = None,
    boundary: Boundary = None,
    fields: Mapping[str, Given] | None = None,
    noise: float = 0.0,
    spacing: float = SPACING,
    device: torch.device | None = None,
) -> Problem:
    """Return the problem; see `solve` for the arguments.

    Raises:
        ValueError: data do not fit the grid or the equation.
    """
    if not isinstance(grid, Grid):
        raise ValueError(
            f"grid is {grid!r}, expected a pdesolve.Grid: Grid((100,), 1.0, periodic=False)"
        )
    if not callable(getattr(equation, "residual", equation)):
        raise ValueError(
            f"equation is {equation!r}, expected a function residual(d, u, *, source) or an object "
            "that has one: see pdesolve.pde"
        )
    axes = axes_of(grid, spacing=spacing, device=device)
    given = dict(fields or {})
    if source is not None:
        given["source"] = source
    for name, value in given.items():
        check_arguments(name, value, grid.dims)
    jet = jet_of(equation, grid.dims, given)
    if noise and not (noise > 0 and _stored(source)):
        raise ValueError(
            f"noise is {noise} with a source that is {_kind(source)}, expected a positive standard "
            "deviation of values on the nodes: pass the source as a tensor, or leave noise out"
        )
    stored = {
        name: Interpolant(name, value, axes, noise if name == "source" else 0.0)
        if _stored(value) else value
        for name, value in given.items()
    }  # fmt: skip
    orders = [jet.highest(j) for j in range(grid.dims)]
    functionals = functionals_of(boundary, axes, orders)
    for f in functionals:
        check_arguments("boundary data", f.value, grid.dims)
    problem = Problem(jet, grid, axes, stored, functionals)
    problem.check_finite()
    return problem


def check_arguments(name: str, value: Any, dims: int) -> None:
    """Raise ValueError for a function that does not take one coordinate an axis."""
    if isinstance(value, Field | Tensor) or not callable(value):
        return
    try:
        signature(value).bind(*range(dims))
    except TypeError as error:
        raise ValueError(
            f"{name} is a function that cannot be called with {dims} coordinates ({error}), "
            "expected one argument an axis, time first: add or drop arguments"
        ) from error
    except ValueError:
        # Functions of torch itself do not tell what they take.
        return


def _stored(value: Given | None) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.ndim > 0


def _kind(source: Given | None) -> str:
    return "stored" if _stored(source) else "a function" if callable(source) else str(source)
