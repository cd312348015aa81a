"""Predictors that cost no thought; a model is worth as much as its distance from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isclose
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..grid import Grid
from .inference import GridSamples, Model, Samples, predictions
from .metrics import evaluate


class TrainingMean(nn.Module):
    """Predicts the same field for every input: the mean of the training targets.

    Args:
        mean: the field, shape (c, *grid), in physical units; (c, 1) is one value for all of a
            sample's scattered points.
    """

    def __init__(self, mean: Float[Tensor, "c *grid"]):
        super().__init__()
        self.register_buffer("mean", mean)
        self.mean: Tensor

    def forward(
        self,
        x: Float[Tensor, "b c_in *any"],
        condition: Float[Tensor, "b p"] | None = None,
        *,
        points: Float[Tensor, "... n d"] | None = None,
    ) -> Float[Tensor, "b c *grid"]:
        """Return the mean field once for each sample of x; the condition changes nothing."""
        del condition
        grid = self.mean.shape[1:] if points is None else points.shape[-2:-1]
        return self.mean.to(x.dtype).expand(len(x), len(self.mean), *grid)


class Persistence(nn.Module):
    """Predicts that nothing changes: the last frame of the input.

    Args:
        channels: of a frame, the last ones of the input.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c *grid"]:
        """Return the last channels of x; the condition changes nothing."""
        del condition
        return x[:, -self.channels :]


def training_mean(dataset: Samples, *, batch_size: int = 256) -> TrainingMean:
    """Return the predictor of the mean target field, accumulated in float64.

    Where every sample has points of its own there is no mean field: the mean over all of them
    then stands for it.

    Raises:
        ValueError: the dataset is empty.
    """
    if not len(dataset):
        raise ValueError("dataset has 0 samples, expected at least one: choose another split")
    total: Tensor | float = 0.0
    for start in range(0, len(dataset), batch_size):
        indices = range(start, min(start + batch_size, len(dataset)))
        batch = dataset.batch(list(indices))
        y = batch.y.double()
        if batch.points is not None and batch.points.ndim == 3:
            y = y.mean(-1, keepdim=True)
        total = total + y.sum(0)
    return TrainingMean(cast(Tensor, total) / len(dataset))


def across_resolutions(
    model: Model,
    coarse: GridSamples,
    fine: GridSamples,
    *,
    wall_value: float | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Return zero-shot errors on a finer grid, and those of the trivial rival.

    The rival predicts on the coarse grid, which the model knows, and interpolates. A model that
    does not beat it has learned nothing about the finer grid. The interpolated coarse truth tells
    how much of the rival's error is the interpolation's.

    Args:
        model: called as `model(x)` or `model(x, condition)` on either grid.
        coarse: the problems at the resolution of training.
        fine: the same problems in the same order, on a finer grid of the same box.
        wall_value: known value of the field on the walls, see `interpolate`.
        batch_size, device: as for `metrics.evaluate`.

    Returns:
        l2, h1: the model on the fine grid; interpolated_l2, interpolated_h1: the rival;
        interpolated_truth_l2, interpolated_truth_h1: the coarse truth, interpolated.

    Raises:
        ValueError: the two datasets do not hold as many samples, or boxes differ.
    """
    if len(coarse) != len(fine):
        raise ValueError(
            f"coarse has {len(coarse)} samples and fine {len(fine)}, expected the same problems: "
            f"open both from one file, the coarse one with a stride"
        )

    def prediction(indices: Sequence[int]) -> Tensor:
        options = {"batch_size": len(indices), "device": device}
        return next(predictions(model, coarse, indices, **options))[1]

    def truth(indices: Sequence[int]) -> Tensor:
        return coarse.batch(indices).y

    carried = partial(_Carried, coarse=coarse.grid, fine=fine, wall_value=wall_value)
    errors = {
        "": evaluate(model, fine, batch_size=batch_size, device=device),
        "interpolated_": evaluate(nn.Identity(), carried(prediction), batch_size=batch_size),
        "interpolated_truth_": evaluate(nn.Identity(), carried(truth), batch_size=batch_size),
    }
    return {prefix + name: error[name] for prefix, error in errors.items() for name in ("l2", "h1")}


@dataclass(frozen=True)
class _Carried:
    # The fine samples with a coarse field, interpolated, as their input: what the identity then
    # predicts is the interpolation.
    coarse_field: Callable[[Sequence[int]], Tensor]
    coarse: Grid
    fine: GridSamples
    wall_value: float | None

    @property
    def grid(self) -> Grid:
        return self.fine.grid

    def __len__(self) -> int:
        return len(self.fine)

    def batch(self, indices: Sequence[int]) -> Batch:
        batch = self.fine.batch(indices)
        field = self.coarse_field(indices).to(batch.y)
        x = interpolate(field, self.coarse, self.grid, wall_value=self.wall_value)
        return replace(batch, x=x, condition=None, condition_names=())


def interpolate(
    u: Float[Tensor, "b c *coarse"],
    coarse: Grid,
    fine: Grid,
    *,
    wall_value: float | None = None,
) -> Float[Tensor, "b c *fine"]:
    """Return the field at the points of another grid of the same box.

    Along a periodic axis by its trigonometric interpolant (exact for band-limited fields), along
    another by a cubic spline (not-a-knot; exact for cubic polynomials), at the true positions of
    both grids. Beyond the outer points the spline goes on as the last cubic.

    Args:
        u: values at the points of `coarse`.
        coarse: where u is given.
        fine: where it is wanted.
        wall_value: value of u on the walls x = 0 and x = L of each axis that is not periodic. The
            spline then passes through it, where the grid does not store its walls anyway.

    Raises:
        ValueError: the grids are not of one box.
    """
    if (coarse.lengths, coarse.periodic) != (fine.lengths, fine.periodic):
        raise ValueError(
            f"fine has lengths {fine.lengths} and periodic {fine.periodic}, expected those of "
            f"coarse, {coarse.lengths} and {coarse.periodic}: take both grids from one box"
        )
    # Zero on the walls makes the spline linear in u, so that each axis is one matrix.
    shift = wall_value or 0.0
    value = u - shift
    for axis in range(coarse.dims):
        if coarse.periodic[axis]:
            matrix = _trigonometric_matrix(coarse, fine, axis)
        else:
            matrix = _spline_matrix(coarse, fine, axis, walls=wall_value is not None)
        place = u.ndim - coarse.dims + axis
        value = (value.movedim(place, -1) @ matrix.to(u).T).movedim(-1, place)
    return value + shift


def _trigonometric_matrix(coarse: Grid, fine: Grid, axis: int) -> Tensor:
    # Entry (i, j): a unit value at coarse point j, seen at fine point i,
    #   1/n Σ_k w_k cos κ_k(y_i - x_j), w_k = 2, but 1 for the mean and for Nyquist.
    n, length = coarse.shape[axis], coarse.lengths[axis]
    k = torch.arange(n // 2 + 1, dtype=torch.float64)
    weight = (2 - ((k == 0) | (2 * k == n)).double()) / n
    x, y = (2 * torch.pi / length * grid.axis(axis)[:, None] * k for grid in (coarse, fine))
    return (weight * y.cos()) @ x.cos().T + (weight * y.sin()) @ x.sin().T


def _spline_matrix(coarse: Grid, fine: Grid, axis: int, *, walls: bool) -> Tensor:
    # Entry (i, j) as above. A wall adds a node whose value is zero, so no column.
    from scipy.interpolate import CubicSpline

    nodes, values, length = (
        coarse.axis(axis).numpy(),
        np.eye(coarse.shape[axis]),
        fine.lengths[axis],
    )
    if walls and nodes[0] > 0:
        nodes, values = np.insert(nodes, 0, 0.0), np.insert(values, 0, 0.0, axis=0)
    if walls and not isclose(nodes[-1], length):
        nodes, values = np.append(nodes, length), np.insert(values, len(nodes), 0.0, axis=0)
    return torch.from_numpy(CubicSpline(nodes, values)(fine.axis(axis).numpy()))
