"""Memory formats of fields (b, c, *grid): contiguous, or with the channels of a point together.

torch knows channels-last for two and three grid axes only; these functions do for any number.
"""

from jaxtyping import Float
from torch import Tensor


def is_channels_last(x: Float[Tensor, "b c *grid"]) -> bool:
    """Whether the channels of a point lie side by side in memory.

    >>> import torch
    >>> x = torch.ones(2, 3, 4)
    >>> is_channels_last(x), is_channels_last(to_channels_last(x))
    (False, True)
    """
    return x.stride(1) == 1


def to_channels_last(x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """The same field with the channels of a point side by side in memory, copied if need be."""
    if x.shape[1] == 1:
        # Both formats at once: only the stride, which no element needs, can tell.
        return x[:, 0].contiguous().unsqueeze(-1).movedim(-1, 1)
    return x.movedim(1, -1).contiguous().movedim(-1, 1)
