"""A model's predictions of a dataset, batch by batch; the model's mode stays what it was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..grid import Grid

Model = Callable[..., Tensor]


@runtime_checkable
class Samples(Protocol):
    """What the metrics need of a dataset."""

    @property
    def grid(self) -> Grid | None: ...
    def __len__(self) -> int: ...
    def batch(self, indices: Sequence[int]) -> Batch: ...


@runtime_checkable
class GridSamples(Samples, Protocol):
    """What those metrics need that cannot do without a grid."""

    @property
    def grid(self) -> Grid: ...


def predictions(
    model: Model,
    dataset: Samples,
    indices: Sequence[int] | None = None,
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Iterator[tuple[Batch, Float[Tensor, "b c *grid"]]]:
    """Yield each batch with its prediction, in order, without gradients.

    The module is in evaluation mode during its calls and in its own mode between them.

    Raises:
        ValueError: a prediction is not of the target's shape.
    """
    module = model if isinstance(model, nn.Module) else nn.Module()
    device = device or next((tensor.device for tensor in _tensors(module)), None)
    module.to(device)
    indices = range(len(dataset)) if indices is None else indices
    for start in range(0, len(indices), batch_size):
        batch = dataset.batch(list(indices[start : start + batch_size]))
        batch = batch if device is None else batch.to(device)
        with _evaluating(module):
            arguments = () if batch.condition is None else (batch.condition,)
            where = {} if batch.points is None else {"points": batch.points}
            prediction = model(batch.x, *arguments, **where)
        if prediction.shape != batch.y.shape:
            # Broadcasting would give a number, and the wrong one.
            raise ValueError(
                f"prediction has shape {tuple(prediction.shape)}, expected the target's "
                f"{tuple(batch.y.shape)}: check the model's output channels and the resolution"
            )
        yield batch, prediction


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    # Each submodule keeps its own mode: a frozen part may be in evaluation mode during training.
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()
