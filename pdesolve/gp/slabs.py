"""An evolution in slabs of time, each solved on its own from the end of the last one.

Newton's iteration on a whole evolution can only be as good as its guess at late times, which
instability or steep waves make hopeless. In a slab that is short enough any guess will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from .axis import Axis
from .boundary import Functional
from .expansion import Basis, Expansion
from .known import Given, field_values
from .problem import Problem

# Nodes of time in the shortest slab.
LEAST = 16


@dataclass(frozen=True, eq=False)
class Slabs:
    """A function that is an expansion on each interval of its first axis.

    Args:
        parts: one for each slab, whose first coordinate begins at 0.
        starts: where each slab begins (s,), the first at 0.
    """

    parts: Sequence[Expansion]
    starts: Float[Tensor, " s"]

    @property
    def bases(self) -> Sequence[Basis]:
        """Functions of each axis, those of the slab that has the highest frequency."""
        return max(self.parts, key=lambda part: max(basis.top for basis in part.bases)).bases

    @property
    def functions(self) -> str:
        """How many functions there are, for a reader."""
        return " and ".join(part.functions for part in self.parts)

    def __call__(
        self, points: Sequence[Float[Tensor, "_"]], orders: Sequence[int] | None = None
    ) -> Float[Tensor, "*n"]:
        """Return u, or a derivative of it, on the tensor product of the points of each axis."""
        first, *others = points
        value = first.new_empty([len(x) for x in points])
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=True)):
            own = self._slab_of(first) == number
            value[own] = part([first[own] - start, *others], orders)
        return value

    def scattered(
        self, points: Float[Tensor, "n d"], orders: Sequence[int] | None = None
    ) -> Float[Tensor, " n"]:
        """Return u, or a derivative of it, at n points of d coordinates."""
        value = points.new_empty(len(points))
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=True)):
            own = self._slab_of(points[:, 0]) == number
            at = torch.cat([points[own, :1] - start, points[own, 1:]], 1)
            value[own] = part.scattered(at, orders)
        return value

    def blocks(
        self, points: Sequence[Float[Tensor, "_"]], orders: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[slice, list[Tensor], Float[Tensor, "k *n"]]]:
        """Yield derivatives as `Expansion.blocks` does; the first points must increase."""
        first, *others = points
        slab = self._slab_of(first)
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=True)):
            own = (slab == number).nonzero()[:, 0]
            if not len(own):
                continue
            begin = int(own[0])
            for rows, (times, *rest), values in part.blocks([first[own] - start, *others], orders):
                moved = slice(begin + rows.start, begin + rows.start + len(times))
                yield moved, [first[moved], *rest], values

    def _slab_of(self, first: Tensor) -> Tensor:
        # A point between two slabs belongs to the earlier one, which had more to go by.
        return (torch.bucketize(first.contiguous(), self.starts) - 1).clamp_min(0)


# What a solve returns.
Solved = Expansion | Slabs


def is_evolution(problem: Problem) -> bool:
    """Return whether the conditions across the first of several axes all lie at its beginning."""
    positions = {f.position for f in problem.functionals if f.axis == 0}
    return len(problem.axes) > 1 and positions == {0.0}


def march(
    problem: Problem, count: int, solve_slab: Callable[[Problem], Expansion | None]
) -> Slabs | None:
    """Return an evolution from slab to slab, None if one of them is not solved.

    Args:
        problem: with all conditions of its first axis at the beginning.
        count: slabs, of about as many nodes each.
        solve_slab: to the solution of one of them, None if it has none.
    """
    nodes = problem.axes[0].nodes
    edges = torch.linspace(0, len(nodes) - 1, count + 1).round().long().tolist()
    parts: list[Expansion] = []
    for first, last in pairwise(edges):
        before = Slabs(parts, nodes[edges[: len(parts)]]) if parts else None
        part = solve_slab(slab(problem, first, last, before))
        if part is None:
            return None
        parts.append(part)
    return Slabs(parts, nodes[edges[:-1]])


def slab(problem: Problem, first: int, last: int, before: Slabs | None) -> Problem:
    """Return the problem on the nodes `first` to `last` of time, moved to begin at 0.

    Args:
        problem: the whole.
        first, last: nodes of the first axis, both included.
        before: solution until then; None keeps the initial data.
    """
    whole = problem.axes[0]
    start = float(whole.nodes[first])
    nodes = whole.nodes[first : last + 1] - start
    axis = Axis(nodes, float(nodes[-1]), False, whole.spacing)
    functionals = []
    for f in problem.functionals:
        if f.axis:
            functionals.append(replace(f, value=_MovedFace(f, start)))
        else:
            functionals.append(
                f if before is None else replace(f, value=_End(before, start, f.terms))
            )
    fields: dict[str, Given] = {
        name: field if isinstance(field, int | float) else _Moved(field, start)
        for name, field in problem.fields.items()
    }
    return Problem(problem.jet, problem.grid, [axis, *problem.axes[1:]], fields, functionals)


@dataclass(frozen=True, eq=False)
class _Moved:
    """A given field in the time of a slab."""

    field: Given
    start: float

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        return field_values(self.field, orders, [points[0] + self.start, *points[1:]])


@dataclass(frozen=True, eq=False)
class _MovedFace:
    """Boundary data along time, in the time of a slab."""

    face: Functional
    start: float

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        del orders  # the data themselves are asked for, never their derivatives
        places = [points[0] + self.start, *points[1:]]
        places.insert(self.face.axis, points[0])
        return self.face.data(places)


@dataclass(frozen=True, eq=False)
class _End:
    """What the slabs so far give the next one: Σ_n c_n ∂ⁿu/∂tⁿ where they end."""

    before: Slabs
    time: float
    terms: Mapping[int, float]

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        del orders
        places = [points[0].new_tensor([self.time]), *points]
        rest = [0] * len(points)
        return torch.stack(
            [c * self.before(places, [n, *rest])[0] for n, c in self.terms.items()]
        ).sum(0)
