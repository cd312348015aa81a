"""Optimisers as values: each is called with a model and returns a torch optimiser for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MakeOptimizer = Callable[[nn.Module], Optimizer]


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        lr: learning rate; small operators on small grids take 1e-2, large ones 1e-3 to 1e-4.
        weight_decay: each step multiplies the weights by 1 - lr * weight_decay.
        betas: decay of the first and of the second moment.
        complex_moment: "separate" second moments for real and imaginary parts (torch's), or one
            "joint" moment E|g|² for each complex number.
    """

    lr: float = 1e-2
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    complex_moment: Literal["separate", "joint"] = "separate"

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of all parameters of the model."""
        options = {"lr": self.lr, "weight_decay": self.weight_decay, "betas": self.betas}
        if self.complex_moment == "separate":
            return torch.optim.AdamW(trainable(model), **options)
        raise NotImplementedError


def trainable(model: nn.Module) -> list[Tensor]:
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
