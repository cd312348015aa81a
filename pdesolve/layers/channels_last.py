"""The memory order in which convolutions are fastest."""

import torch
from jaxtyping import Float
from torch import Tensor

# By the number of axes of the tensor, batch and channel included.
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(u: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Return the field with its channels last in memory; one of a single axis as it is.

    Convolutions keep that order, but for fields of one channel: they are in both orders at once,
    and torch then takes the other one.
    """
    return u.contiguous(memory_format=FORMATS[u.ndim]) if u.ndim in FORMATS else u
