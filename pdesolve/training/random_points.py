"""A few of the scattered points of a batch, others in each batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..batch import Batch
from ..datasets.data import Data


@dataclass(frozen=True)
class RandomPoints:
    """Batches of functions times batches of points: each batch is judged at some of its points.

    The points are the same for all samples of the batch, so that an operator evaluates its basis
    there once, and are a function of (seed, epoch, first sample of the batch) alone.

    Args:
        count: points a batch.

    Raises:
        ValueError: from `check`: the data lie on a grid, or at fewer points.
    """

    count: int

    def check(self, dataset: Data) -> None:
        """Refuse a dataset that has no points to choose from."""
        if dataset.grid is not None:
            raise ValueError(
                f"RandomPoints with a dataset on a grid of {dataset.grid.shape} points, expected "
                f"scattered points: operators of grids need all of theirs; leave it out"
            )
        points = dataset.batch([0]).y.shape[2]
        if not 1 <= self.count <= points:
            raise ValueError(f"count is {self.count}, expected 1 to {points}, the points there are")

    def __call__(self, batch: Batch, indices: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return the batch at some of its points."""
        assert batch.points is not None
        bits = np.random.Philox(np.random.SeedSequence([seed, epoch, int(indices[0])]))
        drawn = np.random.Generator(bits).choice(batch.y.shape[2], self.count, replace=False)
        chosen = torch.from_numpy(np.sort(drawn)).to(batch.y.device)
        return replace(
            batch,
            y=batch.y[..., chosen],
            points=batch.points[..., chosen, :],
            mask=None if batch.mask is None else batch.mask[..., chosen],
        )
