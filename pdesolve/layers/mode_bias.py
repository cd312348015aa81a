"""A learned field on the lowest Fourier modes, added to what a spectral convolution makes."""

from collections.abc import Sequence

import torch
from torch import nn

from ..ops.kernels import Parts


class ModeBias(nn.Module):
    """Add δ b_o(k) to the coefficients of output channel o: the same field for every sample.

    Starts at 0.

    Args:
        channels: output channels.
        stored: stored modes per axis; of the last axis those k >= 0.
        scale: δ, the rate at which the field learns against the weights.

    Source: Cao et al. 2024, arXiv 2405.17211, whose last spectral layer has such a bias.
    """

    complex_pairs = ("pairs",)

    def __init__(self, channels: int, stored: Sequence[int], scale: float):
        super().__init__()
        self.scale = scale
        self.pairs = nn.Parameter(torch.zeros(*stored, channels, 2))

    def forward(self, parts: Parts, rows: Sequence[Sequence[int]]) -> Parts:
        """Coefficients (*k, b, c) with the bias of the stored modes that `rows` names."""
        pairs = self.pairs
        for axis, row in enumerate(rows):
            if len(row) < pairs.shape[axis]:
                pairs = pairs.index_select(axis, torch.tensor(row, device=pairs.device))
        real, imaginary = (self.scale * pairs.to(parts[0].dtype).unsqueeze(-3)).unbind(-1)
        return parts[0] + real, parts[1] + imaginary
