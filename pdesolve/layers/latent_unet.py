"""Five-scale network whose skips pass through latent spectral blocks: the body of an LSM."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .channels_last import channels_last
from .spectral_tokens import NeuralSpectralBlock

ScaleNorm = Literal["batch", "instance"]
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[tuple[str, int], Any] = {
    ("batch", 1): nn.BatchNorm1d,
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
    ("instance", 1): nn.InstanceNorm1d,
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
}
POOL: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


class LatentUNet(nn.Module):
    """Down over the scales, a spectral block at each, and up again.

        x_1 = C(x),  x_{k+1} = C(pool x_k);    z_K = S_K(x_K),  z_k = C([S_k(x_k), up z_{k+1}])

    C is twice convolution with three points per axis, norm and ReLU; S_k a `NeuralSpectralBlock`
    with patches of the same size on every scale. Widths are d, 2d, 4d, ... with the last but one
    repeated; the result is a linear map of z_1.

    Args:
        width: d, channels of the finest scale.
        dims: number of axes.
        scales: K.
        norm: "batch" (statistics of the batch while training, of the past in evaluation) or
            "instance" (of each sample; with learned scale and shift).
        align_corners: interpolate as if the corner points of both grids lay on each other, as the
            published code does; False: as if the cells that are pooled did.
        block: options of the blocks.
    """

    def __init__(
        self,
        width: int,
        *,
        dims: int,
        scales: int = 5,
        norm: ScaleNorm = "batch",
        align_corners: bool = True,
        **block: Any,
    ):
        super().__init__()
        self.dims, self.norm, self.align_corners = dims, norm, align_corners
        widths = [width * 2**scale for scale in range(scales - 1)]
        widths.append(widths[-1])
        finer = [width, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _DoubleConvolution(before, after, after, dims, norm)
            for before, after in zip(finer, widths, strict=True)
        )
        self.blocks = nn.ModuleList(NeuralSpectralBlock(c, **block) for c in widths)
        # From coarse to fine: what comes up has as many channels as the skip.
        self.decoder = nn.ModuleList(
            _DoubleConvolution(2 * skip, skip, after, dims, norm)
            for skip, after in zip(widths[-2::-1], [*widths[-3::-1], width], strict=True)
        )
        self.last = CONVOLUTIONS[dims](width, width, 1)

    @property
    def scales(self) -> int:
        """Number of scales."""
        return len(self.encoder)

    def forward(
        self, x: Float[Tensor, "b c *grid"], patch: Sequence[int]
    ) -> Float[Tensor, "b c *grid"]:
        """Return a field of the same shape.

        Args:
            x: field; its points per axis are a multiple of 2^(scales - 1) patches.
            patch: points per axis of a patch on every scale.

        Raises:
            ValueError: the coarsest scale has a single number to take statistics of.
        """
        self._check(x)
        x = channels_last(x)
        skips = []
        for scale, convolution in enumerate(self.encoder):
            x = convolution(POOL[self.dims](x, 2) if scale else x)
            skips.append(self.blocks[scale](x, patch))
        z = skips.pop()
        for convolution in self.decoder:
            z = convolution(torch.cat([skips.pop(), self._doubled(z)], 1))
        return self.last(z)

    def _doubled(self, z: Tensor) -> Tensor:
        mode = INTERPOLATION[self.dims]
        return F.interpolate(z, scale_factor=2, mode=mode, align_corners=self.align_corners)

    def _check(self, x: Tensor) -> None:
        coarsest = 1
        for n in x.shape[2:]:
            coarsest *= n // 2 ** (self.scales - 1)
        count = coarsest * (len(x) if self.norm == "batch" else 1)
        if count == 1 and (self.training or self.norm == "instance"):
            raise ValueError(
                f"x has grid {tuple(x.shape[2:])}, one point on the coarsest of {self.scales} "
                f"scales, expected two numbers or more for the statistics of norm {self.norm!r}: "
                f"use fewer scales, larger patches or a finer grid"
            )


class _DoubleConvolution(nn.Sequential):
    """Twice convolution, norm and ReLU."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, dims: int, norm: str):
        layers = []
        for before, after in ((in_channels, middle), (middle, out_channels)):
            options = {"affine": True} if norm == "instance" else {}
            # The norm's shift makes a bias of the convolution idle.
            layers += [
                CONVOLUTIONS[dims](before, after, 3, padding=1, bias=False),
                NORMS[norm, dims](after, **options),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)
