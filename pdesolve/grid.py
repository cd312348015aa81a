"""Where the points of a field are, and which symmetries map those points to themselves."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

Placement = Literal["node", "cell"]


@dataclass(frozen=True)
class Symmetry:
    """A permutation of the axes followed by reflections, acting on the last axes of a field.

    Made by `Grid.symmetries`; `periodic` says how an axis is reflected (a periodic axis keeps
    its first point, so the reversed axis is rolled by one).
    """

    permutation: tuple[int, ...]
    reflected: tuple[bool, ...]
    periodic: tuple[bool, ...]

    def __call__(self, field: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the field seen in the transformed coordinates, same shape on a square grid."""
        dims = len(self.permutation)
        lead = field.ndim - dims
        field = field.permute(*range(lead), *(lead + axis for axis in self.permutation))
        for axis in range(dims):
            if self.reflected[axis]:
                field = field.flip(lead + axis)
                if self.periodic[axis]:
                    field = field.roll(1, lead + axis)
        return field


@dataclass(frozen=True, init=False)
class Grid:
    """A uniform tensor-product grid on the box Π [0, L_j]; x is axis 0, time (if any) comes first.

    Points of an axis with n points:

        periodic node        i L / n            the right end point is excluded
        other node           i L / (n - 1)      both end points are stored
        cell                 (i + 1/2) L / n    centres of n equal cells
        node with offset o   o + i L / n        one point for each of n equal cells, 0 < o < L / n

    The last row describes stored sub-grids, such as the published 16 x 16 Darcy files
    (every 64th node of a 1024-cell grid, from the first interior one: offset 1/1024).

    Args:
        shape: points per axis.
        lengths: side of the box per axis, in length units, > 0; one number serves every axis.
        periodic: per axis, or one for all.
        placement: "node" or "cell".
        offset: distance of the first point from the left end, per axis or one for all;
            0 is the ordinary grid.

    Raises:
        ValueError: lengths of the arguments differ, or a value is outside what is said above.

    >>> Grid((4,), (1.0,), True).coordinates()
    tensor([[0.0000, 0.2500, 0.5000, 0.7500]], dtype=torch.float64)
    >>> Grid((3,), (1.0,), False).axis(0)
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    periodic: tuple[bool, ...]
    placement: Placement
    offset: tuple[float, ...]

    def __init__(
        self,
        shape: Sequence[int],
        lengths: Sequence[float] | float,
        periodic: Sequence[bool] | bool,
        placement: Placement = "node",
        offset: Sequence[float] | float = 0.0,
    ):
        dims = len(shape)
        # Frozen: the only place that sets an attribute.
        fix = partial(object.__setattr__, self)
        fix("shape", tuple(int(n) for n in shape))
        fix("lengths", _per_axis("lengths", lengths, dims, float))
        fix("periodic", _per_axis("periodic", periodic, dims, bool))
        fix("placement", placement)
        fix("offset", _per_axis("offset", offset, dims, float))
        if not dims or min(self.shape) < 1:
            raise ValueError(
                f"shape is {self.shape}, expected one axis or more, each of >= 1 point"
            )
        if placement not in ("node", "cell"):
            raise ValueError(f'placement is {placement!r}, expected "node" or "cell"')
        for axis, n in enumerate(self.shape):
            self._check_axis(axis, n, self.lengths[axis], self.offset[axis])

    def _check_axis(self, axis: int, n: int, length: float, offset: float) -> None:
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"lengths[{axis}] is {length}, expected a positive number")
        if offset and self.placement == "cell":
            raise ValueError(
                f"offset[{axis}] is {offset} on a cell grid, expected 0: cell centres are fixed; "
                f'use placement="node" with an offset for a stored sub-grid'
            )
        if not 0 <= offset < length / n:
            raise ValueError(
                f"offset[{axis}] is {offset}, expected 0 <= offset < {length / n} (one spacing)"
            )

    @property
    def dims(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring points per axis, in length units."""
        return tuple(
            self.lengths[axis] / max(n - 1, 1)
            if self._stores_both_ends(axis)
            else self.lengths[axis] / n
            for axis, n in enumerate(self.shape)
        )

    def axis(self, axis: int, *, dtype: torch.dtype = torch.float64, device: Any = None) -> Tensor:
        """Positions along one axis, shape (n,)."""
        first = self.spacing[axis] / 2 if self.placement == "cell" else self.offset[axis]
        steps = torch.arange(self.shape[axis], dtype=torch.float64)
        return (first + steps * self.spacing[axis]).to(dtype=dtype, device=device)

    def coordinates(
        self, *, dtype: torch.dtype = torch.float64, device: Any = None
    ) -> Float[Tensor, "d *grid"]:
        """Positions of all points, shape (d, *shape), coordinate j of x in channel j."""
        axes = [self.axis(j, dtype=dtype, device=device) for j in range(self.dims)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def resized(self, shape: Sequence[int]) -> "Grid":
        """Return the grid of the same box, placement and offset with other numbers of points."""
        if len(shape) != self.dims:
            raise ValueError(f"shape {tuple(shape)} has {len(shape)} axes, expected {self.dims}")
        return Grid(tuple(shape), self.lengths, self.periodic, self.placement, self.offset)

    def strided(self, stride: int) -> "Grid":
        """Return the grid that keeps every stride-th point, covering the same box.

        Raises:
            ValueError: the kept points are no such grid; the message lists the legal strides.
        """
        legal = self.strides
        if stride not in legal:
            raise ValueError(
                f"stride {stride} does not divide the grid {self.shape} into a grid of the same "
                f"box: choose one of {list(legal)}"
            )
        return self.resized([len(range(n)[self.stride_slice(stride)]) for n in self.shape])

    def stride_slice(self, stride: int) -> slice:
        """Return the slice, the same on each axis, that `strided` keeps."""
        # The centre of a block of cells is a cell centre only for an odd block.
        return slice(stride // 2 if self.placement == "cell" else 0, None, stride)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides that `strided` accepts."""
        return tuple(s for s in range(1, max(self.shape) + 1) if self._strides_by(s))

    def _strides_by(self, stride: int) -> bool:
        if self.placement == "cell" and stride % 2 == 0:
            return False
        points = [n - 1 if self._stores_both_ends(j) else n for j, n in enumerate(self.shape)]
        return all(n % stride == 0 and n >= stride for n in points)

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """All exact symmetries: axis permutations and reflections that map points to points.

        A reflection sends x to L - x (to -x on a periodic axis). It is missing where the mirrored
        points are not stored, as on the published Darcy sub-grids. The identity comes first.
        """
        mirrored = [(False, True) if self._reflects(j) else (False,) for j in range(self.dims)]
        return tuple(
            Symmetry(permutation, reflected, self.periodic)
            for permutation in itertools.permutations(range(self.dims))
            if all(self._axes_equal(i, j) for i, j in enumerate(permutation))
            for reflected in itertools.product(*mirrored)
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values from which `Grid(**values)` makes an equal grid (for JSON)."""
        return {
            "shape": list(self.shape),
            "lengths": list(self.lengths),
            "periodic": list(self.periodic),
            "placement": self.placement,
            "offset": list(self.offset),
        }

    def _stores_both_ends(self, axis: int) -> bool:
        return self.placement == "node" and not self.periodic[axis] and self.offset[axis] == 0

    def _reflects(self, axis: int) -> bool:
        # Mirrored about the middle, a first point at o is stored only if o is half a spacing.
        centred = math.isclose(2 * self.offset[axis], self.spacing[axis], rel_tol=1e-12)
        return self.periodic[axis] or self.offset[axis] == 0 or centred

    def _axes_equal(self, i: int, j: int) -> bool:
        per_axis = (self.shape, self.lengths, self.periodic, self.offset)
        return all(values[i] == values[j] for values in per_axis)


def _per_axis(name: str, value: Any, dims: int, kind: type) -> tuple:
    if not hasattr(value, "__iter__"):
        return (kind(value),) * dims
    values = tuple(kind(v) for v in value)
    if len(values) != dims:
        raise ValueError(f"{name} has {len(values)} entries, expected one or {dims}, one per axis")
    return values
