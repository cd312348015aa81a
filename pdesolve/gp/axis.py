"""One axis of a problem: its nodes, midpoints, and what they can resolve."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .features import Bands, Features, comb

# Teeth per bin 1/L. Not an integer, nor 2.5: whole periods on the interval would fall on teeth and
# flatter tests whose solutions have them. Good values 1.8 to 3; too few below 1.5.
SPACING = 2.17
_FEWEST, _MOST = 1.5, 10.0


@dataclass(frozen=True, eq=False)
class Axis:
    """Nodes of one axis.

    Args:
        nodes: uniform positions (n,).
        length: of the interval [0, length].
        periodic: whether the features are those of a period.
        spacing: teeth of the comb per 1 / length; a periodic axis has one.
    """

    nodes: Float[Tensor, " n"]
    length: float
    periodic: bool
    spacing: float = SPACING

    @property
    def step(self) -> float:
        """Distance of the teeth, cycles per length."""
        return 1 / self.length if self.periodic else 1 / (self.spacing * self.length)

    @property
    def nyquist(self) -> float:
        """Highest frequency that the nodes tell from lower ones, cycles per length."""
        return 0.5 / float(self.nodes[1] - self.nodes[0])

    @property
    def midpoints(self) -> Float[Tensor, " m"]:
        """Points halfway between the nodes."""
        return (self.nodes[1:] + self.nodes[:-1]) / 2

    def features(self, bands: Bands, weights: Tensor | None = None) -> Features:
        """Return the features that fill the bands; on a periodic axis those below Nyquist."""
        teeth = comb(bands, self.step, device=self.nodes.device)
        if self.periodic:
            teeth = teeth[teeth < self.nyquist * (1 - 1e-9)]
        return Features(teeth, self.length / 2, weights)


def axes_of(
    grid: Grid, *, spacing: float = SPACING, device: torch.device | None = None
) -> list[Axis]:
    """Return the axes of a grid.

    Raises:
        ValueError: an axis has too few points for a spectrum, or the comb too few teeth.
    """
    if not isinstance(spacing, int | float) or not _FEWEST <= spacing <= _MOST:
        raise ValueError(
            f"spacing is {spacing!r}, expected {_FEWEST} to {_MOST} teeth per 1 / length: leave it "
            f"at {SPACING}, since with fewer the comb repeats itself within the grid"
        )
    if min(grid.shape) < 8:
        raise ValueError(
            f"grid has {grid.shape} points, expected at least 8 an axis: refine the grid"
        )
    return [
        Axis(grid.axis(j, device=device), grid.lengths[j], grid.periodic[j], spacing)
        for j in range(grid.dims)
    ]
