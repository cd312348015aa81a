"""Random views of a sample from other places of a periodic box."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from ..datasets.data import Data
from ..grid import Grid
from .augmentation import random_choices


@dataclass(frozen=True)
class PeriodicShifts:
    """A random shift of each sample and epoch along the periodic axes, by whole points.

        x(r) -> x(r + a),   y(r) -> y(r + a),   mask likewise,   a_j = i_j L_j / n_j

    The equation must be the same everywhere on those axes: no forcing or coefficient that depends
    on the place, unless it is an input. One sample then stands for as many as the grid has points.
    Good for small sets of decaying flows, where operators otherwise learn samples by heart.

    Raises:
        ValueError: from `check`: scattered points, or no axis that is periodic.
    """

    def check(self, dataset: Data) -> None:
        """Refuse a dataset whose samples cannot be shifted."""
        if dataset.grid is None or not any(dataset.grid.periodic):
            raise ValueError(
                f"PeriodicShifts on grid {dataset.grid}, expected one with a periodic axis: train "
                f"without augmentation"
            )

    def __call__(self, batch: Batch, indices: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return the batch with each sample shifted."""
        places = _places(batch.uniform_grid)
        choices = random_choices(math.prod(places), indices, seed=seed, epoch=epoch)
        shifts = np.stack(np.unravel_index(choices, places), 1)

        def shifted(fields: Tensor) -> Tensor:
            axes = tuple(range(-len(places), 0))
            each = zip(fields, shifts.tolist(), strict=True)
            return torch.stack([field.roll(shift, axes) for field, shift in each])

        mask = None if batch.mask is None else shifted(batch.mask)
        return replace(batch, x=shifted(batch.x), y=shifted(batch.y), mask=mask)


def _places(grid: Grid) -> tuple[int, ...]:
    """Different shifts along each axis."""
    pairs = zip(grid.shape, grid.periodic, strict=True)
    return tuple(n if periodic else 1 for n, periodic in pairs)
