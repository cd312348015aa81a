"""What one training step minimises, from model, batch and loss to a number."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..ops.rollout import frame_rollout

Loss = Callable[..., Tensor]
Objective = Callable[[nn.Module, Batch, Loss], Tensor]


def one_step(model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
    """Return the loss of the model's prediction of y from x, a scalar: the mean over samples."""
    prediction = predict(model, batch)
    return loss(prediction, batch.y, grid=batch.grid, mask=batch.mask)


def predict(
    model: nn.Module, batch: Batch, *, calls: int = 1, fixed: int = 0
) -> Float[Tensor, "b c *grid"]:
    """Return the model's output for a batch, in the dtype of the target.

    Args:
        model: called with x, or with x and condition where the batch has one, and with
            points=... where its samples lie at scattered points.
        batch: what to predict.
        calls: of the model, each on the frames of those before it; their frames become channels.
        fixed: see `predicted_frames`.
    """
    return torch.cat(predicted_frames(model, batch, calls, fixed=fixed), 1)


def predicted_frames(
    model: nn.Module,
    batch: Batch,
    calls: int,
    *,
    fixed: int = 0,
    detach: bool = False,
) -> list[Float[Tensor, "b c *grid"]]:
    """Return the output of each call of a rollout, in the dtype of the target.

    Args:
        model, batch, calls: see `predict`.
        fixed: first channels of x that are no frames.
        detach: let no gradient flow between calls.
    """

    def advance(x: Tensor) -> Tensor:
        # Foreign models, which know no condition, run as they are.
        given = (x,) if batch.condition is None else (x, batch.condition)
        where = {} if batch.points is None else {"points": batch.points}
        # Under autocast the output is bfloat16, whose 8 bits would be all that the loss could see.
        return model(*given, **where).to(batch.y.dtype)

    if batch.points is not None:
        return [advance(batch.x)]
    return frame_rollout([advance] * calls, batch.x, fixed=fixed, detach=detach)
