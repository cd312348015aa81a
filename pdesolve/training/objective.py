"""What one training step minimises, from model, batch and loss to a number."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch

Loss = Callable[..., Tensor]
Objective = Callable[[nn.Module, Batch, Loss], Tensor]


def one_step(model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
    """Return the loss of the model's prediction of y from x, a scalar: the mean over samples."""
    prediction = predict(model, batch)
    return loss(prediction, batch.y, grid=batch.grid, mask=batch.mask)


def predict(model: nn.Module, batch: Batch) -> Float[Tensor, "b c *grid"]:
    """Return the model's output for a batch, in the dtype of the target."""
    # Without a condition a model is called with x alone, so that foreign models run as they are.
    given = (batch.x,) if batch.condition is None else (batch.x, batch.condition)
    # Under autocast the output is bfloat16, whose 8 bits would be all that the loss could see.
    return model(*given).to(batch.y.dtype)
