"""Problems whose solution is a formula: source and boundary data follow from it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops.formula import Formula, evaluate, parsed
from .boundary import Condition, End, Face, dirichlet, slope
from .jet import Orders

# Conditions by name: which derivatives are given at which end of an axis.
_KINDS: dict[str, dict[End, tuple[int, ...]]] = {
    "dirichlet": {"low": (0,), "high": (0,)},
    "neumann": {"low": (1,), "high": (0,)},
    "clamped": {"low": (0, 1), "high": (0, 1)},
    "initial": {"low": (0,)},
    "cauchy": {"low": (0, 1)},
    "third_order": {"low": (0,), "high": (0, 1)},
    "periodic": {},
}


class TextEquation:
    """An equation as text, such as "u_tt - 4*u_xx" or "u_xx + u*(u**2 - 1)".

    Args:
        text: a formula of u and its derivatives (u_x, u_xx, u_tx, ...), up to the fourth.
        axes: names of the coordinates, one letter each, in the order of the grid.
    """

    def __init__(self, text: str, axes: str):
        from itertools import combinations_with_replacement

        self.text, self.axes = text, axes
        self._orders = {"u": (0,) * len(axes)}
        for order in range(1, 5):
            for letters in combinations_with_replacement(axes, order):
                name = "u_" + "".join(letters)
                self._orders[name] = tuple(letters.count(a) for a in axes)
        self._expression = parsed(text, [*self._orders])

    def residual(self, d: Callable[[Any, Orders], Tensor], u) -> Tensor:
        """Return the formula at every point; reads u only through d."""
        used = {n: o for n, o in self._orders.items() if n in _names(self._expression)}
        return evaluate(self._expression, {name: d(u, orders) for name, orders in used.items()})


@dataclass(frozen=True)
class Manufactured:
    """A problem with a known solution.

    Args:
        equation: an object with `residual`, or text for `TextEquation`.
        solution: formula of the coordinates.
        shape: points of each axis.
        lengths: of each axis, numbers or formulas such as "2*pi"; one serves all.
        axes: names of the coordinates, one letter each; time first.
        conditions: one kind for each axis, or one for all: dirichlet, neumann (at the low end),
            clamped, initial, cauchy (value and rate at the low end), third_order, periodic.
        method: name of the equation's residual, such as "steady_residual".
        homogeneous: whether the source is zero by the formula, and given as zero.
        tolerance: residual that the solution is expected to reach.
        reference: error that others published, for comparison.
    """

    equation: Any
    solution: str
    shape: Sequence[int]
    lengths: Sequence[float | str] | float | str = 1.0
    axes: str = "x"
    conditions: Sequence[str] | str = "dirichlet"
    method: str = "residual"
    homogeneous: bool = False
    tolerance: float = 1e-6
    reference: float | None = None

    def __post_init__(self):
        kinds = self._kinds
        if len(self.axes) != len(self.shape) or not set(kinds) <= set(_KINDS):
            raise ValueError(
                f"axes is {self.axes!r} and conditions {kinds} for the shape {tuple(self.shape)}, "
                f"expected one letter an axis and conditions among {', '.join(_KINDS)}"
            )

    @cached_property
    def grid(self) -> Grid:
        """Where the solution is wanted."""
        one = isinstance(self.lengths, int | float | str)
        lengths = [self.lengths] * len(self.shape) if one else list(self.lengths)  # pyright: ignore
        numbers = [float(Formula(str(length), ())()) for length in lengths]
        return Grid(tuple(self.shape), numbers, [kind == "periodic" for kind in self._kinds])

    @cached_property
    def exact(self) -> Formula:
        """The solution as a function of the coordinates."""
        return Formula(self.solution, tuple(self.axes))

    @property
    def residual(self) -> Callable[..., Tensor]:
        """The residual of the equation."""
        equation = self.equation
        if isinstance(equation, str):
            equation = TextEquation(equation, self.axes)
        return getattr(equation, self.method)

    def source(self, *coordinates: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return f, what the equation makes of the solution."""
        if self.homogeneous:
            return torch.zeros_like(sum(coordinates[1:], coordinates[0]))

        def d(field: Any, orders: Orders) -> Tensor:
            if isinstance(field, Formula):
                return field.derivative(orders)(*coordinates)
            return torch.as_tensor(0.0 if any(orders) else field, dtype=torch.float64)

        takes = signature(self.residual).parameters
        given = {"source": torch.zeros(())} if "source" in takes else {}
        return self.residual(d, self.exact, **given)

    @cached_property
    def boundary(self) -> Mapping[Face, list[Condition]]:
        """Conditions by face, their values from the solution."""
        result = {}
        for j, kind in enumerate(self._kinds):
            for end, orders in _KINDS[kind].items():
                result[j, end] = [self._condition(j, order) for order in orders]
        return result

    def _condition(self, axis: int, order: int) -> Condition:
        orders = [order if j == axis else 0 for j in range(len(self.axes))]
        value = self.exact.derivative(orders)
        return slope(value, order) if order else dirichlet(value)

    @property
    def _kinds(self) -> tuple[str, ...]:
        if isinstance(self.conditions, str):
            return (self.conditions,) * len(self.shape)
        return tuple(self.conditions)


def error(
    solution: Callable[[Sequence[Tensor]], Tensor],
    exact: Callable[..., Tensor],
    grid: Grid,
    *,
    points: int = 300,
) -> float:
    """Return the relative L2 error on a uniform grid of so many points an axis, ends included.

    In three dimensions on a third of the points, which are as many as the memory of a grid allows.
    """
    count = points if grid.dims < 3 else points // 3
    axes = [torch.linspace(0, length, count, dtype=torch.float64) for length in grid.lengths]
    mesh = [x.reshape([-1 if i == j else 1 for i in range(grid.dims)]) for j, x in enumerate(axes)]
    truth = exact(*mesh).expand([count] * grid.dims)
    difference = solution(axes).cpu() - truth
    return math.sqrt(float(difference.square().sum()) / float(truth.square().sum()))


def _names(expression: Any) -> set[str]:
    if isinstance(expression, tuple):
        return set().union(*(_names(part) for part in expression[1:]))
    return {expression} if isinstance(expression, str) else set()
