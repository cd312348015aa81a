"""Where a number that is not finite came from: which samples, which module."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..batch import Batch

Evaluate = Callable[[nn.Module, Batch], Tensor]


class NonFiniteError(ArithmeticError):
    """A loss or gradient that is not finite; the weights were not changed by it.

    Attributes:
        samples: indices in the training set that it comes from.
        module: dotted name of the first module whose output is not finite, or None.
    """

    def __init__(self, message: str, *, samples: Sequence[int], module: str | None):
        super().__init__(message)
        self.samples = tuple(samples)
        self.module = module


def explain(
    model: nn.Module, batch: Batch, indices: Sequence[int], evaluate: Evaluate
) -> NonFiniteError:
    """Return the error of a batch whose loss or gradient is not finite.

    Looks where the cause would come first: the data, a module's output, the loss of a sample
    alone, its gradient. The gradients of the parameters are left cleared.

    Args:
        model: the model, unchanged since.
        batch: what it was given.
        indices: where in the training set the samples of the batch are.
        evaluate: (model, batch) -> loss, as in the step.
    """
    for name in ("x", "y", "condition", "mask"):
        field = getattr(batch, name)
        if field is not None and not field.isfinite().all():
            return _error(f"{name} of the data", _named(~_finite_rows(field), indices), None)
    with _first_broken_output(model) as found:
        evaluate(model, batch)
    if found:
        module, rows = found[0]
        # A module may fold the batch with other axes; then its rows are no samples.
        samples = _named(~rows, indices) if len(rows) == len(indices) else tuple(indices)
        return _error(f"the output of {module}", samples, module)
    return _alone(model, batch, indices, evaluate)


def _alone(
    model: nn.Module, batch: Batch, indices: Sequence[int], evaluate: Evaluate
) -> NonFiniteError:
    broken_losses, broken_gradients = [], []
    for row, index in enumerate(indices):
        model.zero_grad()
        value = evaluate(model, _rows(batch, row))
        value.backward()
        if not value.isfinite():
            broken_losses.append(index)
        elif not all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None):
            broken_gradients.append(index)
    model.zero_grad()
    if broken_losses:
        return _error("the loss", broken_losses, None)
    return _error("the gradient", broken_gradients or indices, None)


def _error(place: str, samples: Sequence[int], module: str | None) -> NonFiniteError:
    return NonFiniteError(
        f"{place} is not finite for the training samples {list(samples)}: the step was not taken; "
        f"look at these samples, or take a lower learning rate or clip_norm",
        samples=samples,
        module=module,
    )


def _named(broken: Tensor, indices: Sequence[int]) -> tuple[int, ...]:
    return tuple(index for index, b in zip(indices, broken.tolist(), strict=True) if b)


def _finite_rows(tensor: Tensor) -> Tensor:
    return tensor.isfinite().flatten(1).all(1) if tensor.ndim > 1 else tensor.isfinite()


def _rows(batch: Batch, row: int) -> Batch:
    tensors = {name: getattr(batch, name) for name in ("x", "y", "condition", "mask")}
    return replace(
        batch, **{k: None if t is None else t[row : row + 1] for k, t in tensors.items()}
    )


@contextmanager
def _first_broken_output(model: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    found: list[tuple[str, Tensor]] = []

    def watch(name: str):
        def look(module: nn.Module, inputs: tuple, output: object) -> None:
            tensors = output if isinstance(output, tuple | list) else (output,)
            for tensor in tensors:
                if found or not isinstance(tensor, Tensor) or not tensor.ndim:
                    continue
                rows = _finite_rows(tensor.detach())
                if not rows.all():
                    found.append((name, rows))

        return look

    # Children finish before their parents, so the first is the innermost.
    handles = [
        module.register_forward_hook(watch(name or type(module).__name__))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            yield found
    finally:
        for handle in handles:
            handle.remove()
