"""AdamW with one second moment for each complex number."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# Added to the root of the second moment, as in Adam's paper: bounds the step where it vanishes.
EPSILON = 1e-8


class JointMomentAdamW(Optimizer):
    """AdamW that treats a complex number z with gradient g as one parameter:

        m ← β₁ m + (1 - β₁) g              v ← β₂ v + (1 - β₂) |g|²
        z ← (1 - lr λ) z - lr m̂ / (√v̂ + ε)     m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)

    so that a rotation of the complex plane rotates the update. Real parameters follow AdamW.

    Args:
        groups: parameter groups with a flag "pairs": complex numbers stored as (..., 2).
        lr, weight_decay, betas: as in `AdamW`.

    Source: the second moment of neuraloperator's AdamW (g times conj g); there the decay is applied
    after the update and ε before the bias correction.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
    ):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; with a closure, evaluate it first and return its value."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    adamw_update(parameter, self.state[parameter], group, pairs=group["pairs"])
        return loss


def adamw_update(
    parameter: Tensor, state: dict[str, Any], group: dict[str, Any], *, pairs: bool
) -> None:
    """Change a parameter and its state by one step of AdamW.

    Args:
        parameter: with its gradient.
        state: "step", "first" and "second", made at the first step.
        group: "lr", "weight_decay", "betas".
        pairs: one second moment for the last axis of two, or for a complex number.
    """
    gradient = parameter.grad
    assert gradient is not None
    if parameter.is_complex():
        parameter, gradient, pairs = *map(torch.view_as_real, (parameter, gradient)), True
    square = gradient.square()
    if pairs:
        square = square.sum(-1, keepdim=True)
    if not state:
        state |= {"step": 0, "first": torch.zeros_like(gradient)}
        state["second"] = torch.zeros_like(square)
    state["step"] += 1
    first_decay, second_decay = group["betas"]
    first = state["first"].lerp_(gradient, 1 - first_decay)
    second = state["second"].lerp_(square, 1 - second_decay)
    scale = (second / (1 - second_decay ** state["step"])).sqrt_().add_(EPSILON)
    parameter.mul_(1 - group["lr"] * group["weight_decay"])
    rate = group["lr"] / (1 - first_decay ** state["step"])
    parameter.addcdiv_(first, scale.expand_as(first), value=-rate)
