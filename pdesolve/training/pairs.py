"""Which parameters of a model are trained, and which of them are complex numbers as real pairs."""

from torch import Tensor, nn


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that ask for a gradient.

    Raises:
        ValueError: there are none.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            f"model {type(model).__name__} has no parameter that requires a gradient, expected one "
            f"or more: there is nothing to train"
        )
    return parameters


def complex_pairs(model: nn.Module) -> set[Tensor]:
    """Return the parameters of shape (..., 2) whose last axis is (real, imaginary).

    A module names those of its own in an attribute `complex_pairs`.
    """
    # Tensors hash by identity, so a set of them holds these very parameters.
    return {
        getattr(module, name)
        for module in model.modules()
        for name in getattr(module, "complex_pairs", ())
    }
