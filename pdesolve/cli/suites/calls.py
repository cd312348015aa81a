"""What is timed of a model: a prediction, and a step of training, on one batch."""

from collections.abc import Callable
from typing import Any


def prediction(model: Any, batch: Any) -> Callable[[], None]:
    """Return a call that predicts a batch without gradients."""
    import torch

    def call() -> None:
        model.eval()
        with torch.no_grad():
            model(*_arguments(batch))

    return call


def training_step(model: Any, batch: Any) -> Callable[[], None]:
    """Return a call that takes the gradient of the relative L2 error and drops it.

    The optimiser's own work is left out: it depends on the parameters alone, not on the grid.
    """
    from ...losses import RelativeL2

    def call() -> None:
        model.train()
        loss = RelativeL2()(model(*_arguments(batch)), batch.y, mask=batch.mask)
        loss.backward()
        model.zero_grad(set_to_none=True)

    return call


def _arguments(batch: Any) -> tuple[Any, ...]:
    return (batch.x,) if batch.condition is None else (batch.x, batch.condition)
