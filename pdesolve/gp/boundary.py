"""What a solution has to satisfy on the faces of its box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .known import Field, Given, Interpolant, field_values

End = Literal["low", "high"]
Face = tuple[int, End]


@dataclass(frozen=True, eq=False)
class Condition:
    """A linear condition Σ_n c_n ∂ⁿu/∂xⁿ = value on one face, x being the axis across it.

    Args:
        terms: derivative order n to coefficient c_n.
        value: a number, the values on the nodes of the face, or a function of all coordinates.
        outward: whether odd derivatives point out of the box; otherwise along the axis.
    """

    terms: Mapping[int, float]
    value: Given = 0.0
    outward: bool = False


def dirichlet(value: Given = 0.0) -> Condition:
    """Return u = value."""
    return Condition({0: 1.0}, value)


def neumann(value: Given = 0.0) -> Condition:
    """Return ∂u/∂n = value, n the outward normal."""
    return Condition({1: 1.0}, value, outward=True)


def robin(a: float, b: float, value: Given = 0.0) -> Condition:
    """Return a u + b ∂u/∂n = value, n the outward normal."""
    return Condition({0: a, 1: b}, value, outward=True)


def slope(value: Given = 0.0, order: int = 1) -> Condition:
    """Return ∂ⁿu/∂xⁿ = value along the axis, such as u_t = value at the initial time."""
    return Condition({order: 1.0}, value)


def cauchy(value: Given, rate: Given) -> list[Condition]:
    """Return u = value and ∂u/∂x = rate along the axis, both on one face."""
    return [dirichlet(value), slope(rate)]


Boundary = Mapping[Face, Condition | Sequence[Condition]] | Given | None


@dataclass(frozen=True, eq=False)
class Functional:
    """A condition at its place: Σ_n c_n ∂ⁿu at `position` of one axis equals `value`.

    Args:
        axis: across the face.
        position: coordinate of the face.
        terms: order to coefficient, along the axis.
        value: given data on the face.
    """

    axis: int
    position: float
    terms: Mapping[int, float]
    value: Given

    def row(self, basis, device: torch.device) -> Float[Tensor, " m"]:
        """Return the functional applied to every function of an axis' basis."""
        at = torch.tensor([self.position], dtype=torch.float64, device=device)
        return torch.stack([c * basis(at, order)[0] for order, c in self.terms.items()]).sum(0)

    def data(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "*face"]:
        """Return the value on the face, at the points of the other axes."""
        at = points[0].new_tensor([self.position])
        places = [at if j == self.axis else x for j, x in enumerate(points)]
        if isinstance(self.value, Field):
            others = [x for j, x in enumerate(points) if j != self.axis]
            return self.value.at((0,) * len(others), others)
        return field_values(self.value, (0,) * len(places), places).squeeze(self.axis)

    @property
    def order(self) -> int:
        """Highest derivative of the condition."""
        return max(self.terms)


def functionals_of(
    boundary: Boundary, axes: Sequence[Axis], orders: Sequence[int]
) -> list[Functional]:
    """Return the conditions of a problem.

    Args:
        boundary: conditions by face; or a value of u on all faces; None is 0 on all faces.
        axes: of the grid.
        orders: highest derivative that the equation takes along each axis.

    Raises:
        ValueError: an axis has fewer conditions than derivatives, or more, or is periodic.
    """
    if not isinstance(boundary, Mapping):
        boundary = _everywhere(boundary, axes, orders)
    result = []
    for (axis, end), given in boundary.items():
        if axis not in range(len(axes)) or end not in ("low", "high"):
            raise ValueError(
                f"boundary has the face {(axis, end)}, expected (axis, end) with an axis from 0 to "
                f'{len(axes) - 1} and an end "low" or "high"'
            )
        conditions = [given] if isinstance(given, Condition) else given
        if not isinstance(conditions, Sequence) or not all(
            isinstance(c, Condition) for c in conditions
        ):
            raise ValueError(
                f"boundary of the face {(axis, end)} is {given!r}, expected conditions such as "
                "dirichlet(0.0), neumann(0.0) or cauchy(u, u_t) of pdesolve.gp: wrap the value"
            )
        result += [_placed(c, axis, end, axes) for c in conditions]
    for j, (axis, order) in enumerate(zip(axes, orders, strict=True)):
        count = sum(f.axis == j for f in result)
        expected = 0 if axis.periodic else order
        if count != expected:
            raise ValueError(_count_message(j, count, expected, axis.periodic))
    return result


def _everywhere(value: Given | None, axes: Sequence[Axis], orders: Sequence[int]) -> Mapping:
    walls = [j for j, axis in enumerate(axes) if not axis.periodic]
    odd = [j for j in walls if orders[j] != 2]
    if odd:
        raise ValueError(
            f"boundary is {'missing' if value is None else 'one value for all faces'}, but along "
            f"axis {odd[0]} the equation has order {orders[odd[0]]}: give a condition by face, "
            'such as {(0, "low"): dirichlet(initial)}'
        )
    condition = dirichlet(0.0 if value is None else value)
    return {(j, end): condition for j in walls for end in ("low", "high")}


def _count_message(axis: int, count: int, expected: int, periodic: bool) -> str:
    if periodic:
        return f"axis {axis} is periodic but has {count} conditions, expected none"
    return (
        f"axis {axis} has {count} conditions, expected {expected}, as many as derivatives along "
        "it: with fewer the solution is not unique, with more there may be none (drop the data at "
        "an outflow or final time)"
    )


def _placed(condition: Condition, axis: int, end: End, axes: Sequence[Axis]) -> Functional:
    sign = -1.0 if condition.outward and end == "low" else 1.0
    terms = {order: c * sign**order for order, c in condition.terms.items()}
    value = condition.value
    if isinstance(value, Tensor):
        others = [a for j, a in enumerate(axes) if j != axis]
        value = Interpolant(f"boundary {(axis, end)}", value, others) if others else float(value)
    return Functional(axis, axes[axis].length if end == "high" else 0.0, terms, value)
