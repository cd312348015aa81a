"""A stepper applied again and again, to states or to windows of frames held as channels."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Stepper = Callable[[Tensor], Tensor]


def rollout(
    advance: Stepper, state: Float[Tensor, "b ..."], steps: int
) -> Float[Tensor, "b steps ..."]:
    """Return the states after 1, 2, ..., `steps` steps, stacked on axis 1; differentiable.

    Args:
        advance: one step, such as `partial(equation.step, dt=0.1, grid=grid)` or a trained model.
        state: where it starts, which is not returned.
        steps: at least 1.

    >>> rollout(lambda u: 2 * u, torch.ones(1, 1), 3).tolist()
    [[[2.0], [4.0], [8.0]]]
    """
    states = []
    for _ in range(steps):
        state = advance(state)
        states.append(state)
    return torch.stack(states, 1)


def pushed(
    x: Float[Tensor, "b c_in *grid"], frames: Float[Tensor, "b c_new *grid"], *, fixed: int = 0
) -> Float[Tensor, "b c_in *grid"]:
    """Return the window of frames after the newest ones came in behind and the oldest left.

    Args:
        x: `fixed` channels that stay, then frames, the newest last.
        frames: what comes in, possibly more than the window holds.
        fixed: number of channels that are no frames.
    """
    moved = torch.cat([x[:, fixed:], frames], 1)[:, frames.shape[1] :]
    return torch.cat([x[:, :fixed], moved], 1)


def frame_rollout(
    advances: Sequence[Stepper],
    x: Float[Tensor, "b c_in *grid"],
    *,
    fixed: int = 0,
    detach: bool = False,
) -> list[Float[Tensor, "b c_out *grid"]]:
    """Return the frames that each call gives, when each sees those of the calls before it.

    Args:
        advances: the calls in their order, from a window (b, c_in, *grid) to the next frames.
        x: first window; see `pushed`.
        fixed: number of channels of x that are no frames.
        detach: let no gradient flow from one call to the one before it.
    """
    frames: list[Tensor] = []
    for advance in advances:
        if frames:
            x = pushed(x, frames[-1].detach() if detach else frames[-1], fixed=fixed)
        frames.append(advance(x))
    return frames
