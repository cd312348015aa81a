"""A field as a sum over a basis, whose coefficients and functions come from networks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid


def expansion(
    coefficients: Float[Tensor, "b cb k"],
    functions: Float[Tensor, "*b n ct k"],
    *,
    outputs: int,
    frames: int = 1,
) -> Float[Tensor, "b c n_points"]:
    """Return y_c(s) = Σ_k b_ck t_ck(s).

    Args:
        coefficients: b, for each output, or one set for all (cb = 1).
        functions: t at the points, which are those of every sample (no b) or of each; for each
            output, or one set for all (ct = 1).
        outputs: number of fields c.
        frames: times in n, each with all points; they become channels, all fields of the first
            time, then of the next.
    """
    b = coefficients.expand(-1, outputs, -1)
    t = functions.expand(*functions.shape[:-2], outputs, -1)
    y = torch.einsum("bck,nck->bcn" if t.ndim == 3 else "bck,bnck->bcn", b, t)
    return y.unflatten(2, (frames, -1)).transpose(1, 2).flatten(1, 2)


def fields_of(out_channels: int, times: Sequence[float] | None) -> tuple[int, int]:
    """Return how many fields and how many times the output channels are.

    Raises:
        ValueError: the times do not divide the channels.
    """
    frames = 1 if times is None else len(times)
    if not frames or out_channels % frames:
        raise ValueError(
            f"out_channels is {out_channels} for {frames} times, expected a multiple of them: "
            f"every field at every time is one channel"
        )
    return out_channels // frames, frames


def box_factor(points: Float[Tensor, "*b n d"], domain: Grid) -> Float[Tensor, "*b n"]:
    """Return Π 4 s_j (1 - s_j), s_j = x_j / L_j, over the axes of a domain that have walls."""
    factor = points.new_ones(points.shape[:-1])
    for j, periodic in enumerate(domain.periodic):
        s = points[..., j] / domain.lengths[j]
        factor = factor if periodic else factor * 4 * s * (1 - s)
    return factor
