"""Random views of a sample under which the equation stays the same."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..datasets.data import Data
from ..grid import Grid, Symmetry

Field = Float[Tensor, "b c *grid"]


@runtime_checkable
class Augmentation(Protocol):
    """What `fit` asks of an augmentation; it holds no state, so that a run resumes exactly."""

    def check(self, dataset: Data) -> None:
        """Refuse a dataset that this augmentation would make wrong, before the first step."""
        ...

    def __call__(self, batch: Batch, indices: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return the batch with each sample changed by what (seed, epoch, its index) give."""
        ...


@dataclass(frozen=True)
class GridSymmetries:
    """A random symmetry of the grid for each sample and epoch, the same for x, y and mask.

    The equation must have the symmetry too: scalar fields and no preferred direction, as in Darcy
    flow. Only exact symmetries of the grid are used: a plain reversal of an array whose mirrored
    points are not stored (the published 16 x 16 Darcy set) teaches two contradictory grids, and
    raised an error of 0.083 to 0.180 there.

    Args:
        approximate_reflection: also reflect axes that start at an offset o > 0 from the wall, by
            the flip-and-roll rule of `_mirrored`. It assumes targets that vanish on the walls.

    Raises:
        ValueError: from `check`: a vector component among the channels, a time axis, a grid with
            no symmetry, or approximate_reflection on a grid that does not need it.
    """

    approximate_reflection: bool = False

    def check(self, dataset: Data) -> None:
        """Refuse a dataset whose samples have no such symmetry."""
        grid = dataset.grid
        if grid is None:
            raise ValueError(
                "GridSymmetries with scattered points, expected a grid: train without augmentation"
            )
        vectors = [n for n in (*dataset.input_names, *dataset.output_names) if _is_component(n)]
        if vectors:
            raise ValueError(
                f"channels {vectors} are named as components of vectors, expected scalars: "
                f"a reflection would have to change their sign; train without augmentation"
            )
        if len(dataset.times) > 1:
            raise ValueError(
                f"dataset has {len(dataset.times)} times, expected a steady problem: time cannot "
                f"be reflected; train without augmentation"
            )
        if self.approximate_reflection and not any(map(_is_offset, *_axes(grid))):
            raise ValueError(
                "approximate_reflection is True, expected False on a grid without an axis that "
                "starts at an offset below half a spacing: its exact symmetries are all there are"
            )
        if len(self._views(grid)) == 1:
            raise ValueError(
                f"grid {grid.as_dict()} has no symmetry but the identity, expected one or "
                f"more: train without augmentation"
            )

    def __call__(self, batch: Batch, indices: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return the batch with each sample seen through a random symmetry."""
        views = self._views(batch.uniform_grid)
        choices = random_choices(len(views), indices, seed=seed, epoch=epoch)
        x, y = torch.empty_like(batch.x), torch.empty_like(batch.y)
        mask = None if batch.mask is None else torch.empty_like(batch.mask)
        for choice in np.unique(choices):
            rows = torch.from_numpy(np.flatnonzero(choices == choice)).to(x.device)
            view = views[choice]
            x[rows] = view(batch.x[rows], vanishes=False)
            y[rows] = view(batch.y[rows], vanishes=True)
            if mask is not None and batch.mask is not None:
                mask[rows] = view(batch.mask[rows], vanishes=False)
        return replace(batch, x=x, y=y, mask=mask)

    def _views(self, grid: Grid) -> "tuple[View, ...]":
        return _all_views(grid, self.approximate_reflection)


@dataclass(frozen=True)
class View:
    """An exact symmetry followed by approximate reflections of some axes.

    Args:
        symmetry: of the grid.
        shifts: per axis how far the mirrored points lie from stored ones, in spacings; None where
            the axis is not reflected approximately.
    """

    symmetry: Symmetry
    shifts: tuple[float | None, ...]

    def __call__(self, field: Field, *, vanishes: bool) -> Field:
        """Return the fields as seen; vanishes says that they are continuous and 0 on the walls."""
        field = self.symmetry(field)
        for axis, shift in enumerate(self.shifts):
            if shift is not None:
                field = _mirrored(field, field.ndim - len(self.shifts) + axis, shift, vanishes)
        return field


def _mirrored(field: Tensor, axis: int, shift: float, vanishes: bool) -> Tensor:
    """Return f(L - x) at the stored points x_i = o + i h of one axis, i = 0 .. n - 1.

    L - x_i lies at n - i - δ in units of h from the first point, δ = 2 o / h being the shift, hence
    between the stored points n - i - 1 and n - i: flip, then roll by one. A field that vanishes on
    the wall, at n - δ/2, is interpolated linearly:

        f_i ← (1 - δ) f_(n-i) + δ f_(n-i-1),   f_0 ← f_(n-1) (δ/2) / (1 - δ/2)

    Any other (a coefficient that jumps, a mask) takes the nearest stored value, f_0 ← f_(n-1).
    """
    flipped = field.flip(axis)
    rolled = flipped.roll(1, axis)
    first = (slice(None),) * axis + (slice(0, 1),)
    last = flipped[first]
    if not vanishes:
        rolled[first] = last
        return rolled
    mirrored = torch.lerp(rolled, flipped, shift)
    mirrored[first] = last * (shift / 2 / (1 - shift / 2))
    return mirrored


@lru_cache(maxsize=16)
def _all_views(grid: Grid, approximate: bool) -> tuple[View, ...]:
    shifts: list[tuple[float | None, ...]] = [
        (None, 2 * offset / spacing)
        if approximate and _is_offset(offset, spacing, per)
        else (None,)
        for offset, spacing, per in zip(*_axes(grid), strict=True)
    ]
    return tuple(
        View(symmetry, chosen)
        for symmetry in grid.symmetries
        for chosen in itertools.product(*shifts)
    )


def _axes(grid: Grid) -> tuple[tuple[float, ...], tuple[float, ...], tuple[bool, ...]]:
    return grid.offset, grid.spacing, grid.periodic


def _is_offset(offset: float, spacing: float, periodic: bool) -> bool:
    # At half a spacing the mirrored points are stored, and beyond it they lie the other way.
    return not periodic and 0 < 2 * offset < spacing * (1 - 1e-12)


def _is_component(name: str) -> bool:
    return name.endswith(("_x", "_y", "_z"))


def random_choices(count: int, indices: Sequence[int], *, seed: int, epoch: int) -> np.ndarray:
    """Return a number below count for each index, a function of (seed, epoch, index) alone.

    The index-th output of SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195) whose state
    starts at a hash of (seed, epoch).
    """
    start = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    z = start + (np.asarray(indices, dtype=np.uint64) + np.uint64(1)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) % np.uint64(count)).astype(np.int64)
