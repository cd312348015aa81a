"""Models that are told how far to go: their calls, and rollouts by given lead times."""

from collections.abc import Sequence
from functools import partial
from inspect import signature

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.rollout import frame_rollout
from .inference import Model


def roll(
    model: Model,
    x: Float[Tensor, "b c_in *grid"],
    leads: Sequence[float],
    *,
    condition: Float[Tensor, "b p"] | None = None,
    fixed: int = 0,
) -> Float[Tensor, "b steps c *grid"]:
    """Return the states after each of the lead times, one call after the other.

    Equal steps are `[time / n] * n`; the first channels of x may stay as they are.

    Args:
        model: called with a state and a condition whose first number is the lead time.
        x: `fixed` channels that stay, then the state at the start.
        leads: lead time of each call, in time units.
        condition: what follows the lead time in the condition.
        fixed: number of channels of x that are carried along unchanged.

    Raises:
        ValueError: the model takes no condition, or there is no lead time.
    """
    check_takes_condition(model)
    if not len(leads):
        raise ValueError("leads is empty, expected the lead time of each call, such as [0.1] * 50")
    calls = [partial(called, model, with_lead(x, condition, lead)) for lead in leads]
    return torch.stack(frame_rollout(calls, x, fixed=fixed), 1)


def check_takes_condition(model: Model) -> None:
    """Refuse a model whose call names no condition, before a lead time reaches another argument.

    Raises:
        ValueError: it names none.
    """
    inner = model
    # `Normalized` hands the condition on to what is inside.
    while isinstance(inner, nn.Module) and isinstance(getattr(inner, "operator", None), nn.Module):
        inner = inner.operator
    # A plain function may call its arguments as it likes.
    if isinstance(inner, nn.Module) and "condition" not in signature(inner.forward).parameters:
        raise ValueError(
            f"model {type(inner).__name__} takes no condition, expected one whose call takes "
            f"(x, condition) for data with lead times: choose such an operator, or a Window of "
            f"frames"
        )


def with_lead(x: Tensor, condition: Tensor | None, lead: float | None) -> Tensor | None:
    """Return the condition of a call: the lead time, if there is one, before all else."""
    if lead is None:
        return condition
    first = x.new_full((len(x), 1), lead)
    return first if condition is None else torch.cat([first, condition], 1)


def called(model: Model, condition: Tensor | None, x: Tensor) -> Tensor:
    """Return the model's output, whether there is a condition or not."""
    return model(x) if condition is None else model(x, condition)
