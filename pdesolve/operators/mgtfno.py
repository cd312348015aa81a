"""Multi-grid tensorised Fourier neural operator: a TFNO on patches that see the whole field."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.utils.checkpoint import checkpoint

from ..grid import Grid
from ..layers.weight import Factorization
from ..ops import patches, sharing
from ..ops.patches import Boundary, Windows
from ..recorded import recorded
from .tfno import TFNO, Activation, Norm, Skip, check_domain, positions, wall_distances


@recorded
class MGTFNO(nn.Module):
    """Map between fields patch by patch, one TFNO for all patches, in the memory of a few.

        v_i = (x around patch i, x at half the resolution around it, ..., at 1 / 2^levels of it)
        y on patch i = crop(TFNO(v_i))

    Takes grids of any size that 2^levels divides. The modes, `domain_padding` and norms are those
    of a patch with its padding; coordinates are of the whole field, cut with it.

    Args:
        in_channels: channels of x, without the coordinates that are added here.
        out_channels: channels of y.
        modes: kept Fourier modes per axis of a patch, both signs counted.
        width, layers, rank: of the TFNO.
        levels: the grid is cut into 2^levels patches per axis, each seen at levels + 1
            resolutions. 1 or 2 in the paper; 0 is a TFNO on the whole field.
        padding: neighbouring points that a patch sees at full resolution, as a share of the
            points of the whole axis, on each side, rounded to points; one number or one per axis.
            0.06 to 0.13 in the paper, whose domain compression Π_j S_j / (S_j / 2^levels + 2 P_j)
            is 1.8 at 1 level and 0.125.
        boundary: what a patch sees beyond the field: its other side (periodic fields), its last
            point ("replicate", for walls), or zero.
        windows: "centred" on the patch, or where neuraloperator 2.0.0 has them ("published").
        patch_chunk: patches computed at once, forward and (again, by activation checkpointing)
            backward: the memory of activations is theirs. None takes all patches at once, without
            computing anything twice.
        domain, coordinates, wall_factor: as in `TFNO`, for the whole field.
        patch_coordinates: append the positions in the window, i / n_j. The levels show a place at
            different points of their windows, and by itself a TFNO, which treats all points
            alike, can only compare what they show at the same one.
        lifting_width, projection_width, mlp_expansion, skip, mlp_skip, norm, preactivation,
        activation, separable, factorization, domain_padding, pad_both_sides: of the TFNO.
        joint: of the TFNO, but True unless said otherwise, as in the paper.

    With `patch_group` set to a process group whose processes are given the same x, each computes
    its part of the patches and all get the whole y; parameter gradients are then to be summed over
    the group (`Settings.patch_processes` does both).

    Raises:
        ValueError: sizes or options that do not fit, with the way out.

    Source: Kossaifi et al. 2024, arXiv 2310.00120. Differs from its code (neuraloperator 2.0.0):
    windows are centred at every size, and `coordinates` can tell where in the field a patch is.
    """

    patch_group: ProcessGroup | None = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sequence[int],
        width: int,
        layers: int = 4,
        rank: float | Sequence[int] | None = None,
        *,
        levels: int = 1,
        padding: float | Sequence[float] = 0.0,
        boundary: Boundary = "circular",
        windows: Windows = "centred",
        patch_chunk: int | None = None,
        domain: Grid | None = None,
        coordinates: bool = True,
        patch_coordinates: bool = True,
        wall_factor: bool = False,
        lifting_width: int | None = None,
        projection_width: int | None = None,
        mlp_expansion: float = 0.5,
        skip: Skip | None = "linear",
        mlp_skip: Skip | None = "soft-gating",
        norm: Norm | None = None,
        preactivation: bool = False,
        activation: Activation = F.gelu,
        separable: bool = False,
        factorization: Factorization = "tucker",
        joint: bool = True,
        domain_padding: float | Sequence[float] = 0.0,
        pad_both_sides: bool = True,
    ):
        super().__init__()
        dims = len(modes)
        check_domain(domain, dims, wall_factor)
        _check_patches(levels, patch_chunk)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, dims
        self.levels, self.shares = levels, _shares(padding, dims)
        self.boundary: Boundary = boundary
        self.windows: Windows = windows
        self.patch_chunk = patch_chunk
        self.domain, self.coordinates, self.zero_on_boundary = domain, coordinates, wall_factor
        seen = in_channels + (dims if coordinates else 0)
        self.operator = TFNO(
            (levels + 1) * seen,
            out_channels,
            modes,
            width,
            layers,
            rank,
            coordinates=patch_coordinates,
            lifting_width=lifting_width,
            projection_width=projection_width,
            mlp_expansion=mlp_expansion,
            skip=skip,
            mlp_skip=mlp_skip,
            norm=norm,
            preactivation=preactivation,
            activation=activation,
            separable=separable,
            factorization=factorization,
            joint=joint,
            domain_padding=domain_padding,
            pad_both_sides=pad_both_sides,
        )

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the points of x, stitched from their patches.

        Raises:
            ValueError: axes, channels or sizes of x are not this operator's, or a condition is
                given.
        """
        self._check_input(x, condition)
        fields = torch.cat([x, positions(x, self.domain)], 1) if self.coordinates else x
        mine = sharing.share(len(x) * 2 ** (self.levels * self.dims), self.patch_group)
        chunk = self.patch_chunk or len(mine)
        parts = [mine[start : start + chunk] for start in range(0, len(mine), chunk)]
        y = torch.cat([self._chunk(fields, part) for part in parts])
        y = patches.stitch(sharing.gather(y, self.patch_group), self.levels)
        return y * wall_distances(x, self.domain) if self.zero_on_boundary else y

    def _chunk(self, fields: Tensor, part: range) -> Tensor:
        if self.patch_chunk is None or not torch.is_grad_enabled():
            return self._predicted(fields, part)
        # No random numbers are drawn inside, so none need be restored.
        return checkpoint(
            self._predicted, fields, part, use_reentrant=False, preserve_rng_state=False
        )

    def _predicted(self, fields: Tensor, part: range) -> Tensor:
        """Outputs on these patches, cropped: (patches, c_out, *core)."""
        sizes = zip(self.shares, fields.shape[2:], strict=True)
        padding = [round(share * size) for share, size in sizes]
        cut = patches.patch(
            fields, self.levels, padding, boundary=self.boundary, windows=self.windows, part=part
        )
        return patches.crop(self.operator(cut), padding)

    def _check_input(self, x: Tensor, condition: Tensor | None) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build MGTFNO with the channels of the data, and with as "
                f"many modes as the grid has axes"
            )
        if condition is not None:
            raise ValueError(
                f"condition of shape {tuple(condition.shape)} given, expected none: MGTFNO takes "
                f"no parameters; add them to x as constant channels"
            )


def _shares(padding: float | Sequence[float], dims: int) -> tuple[float, ...]:
    shares = tuple(padding) if isinstance(padding, Sequence) else (padding,) * dims
    if len(shares) != dims or min(shares) < 0:
        raise ValueError(
            f"padding is {padding}, expected one share of the points >= 0, or one for each of the "
            f"{dims} axes, such as 0.1"
        )
    return shares


def _check_patches(levels: int, patch_chunk: int | None) -> None:
    if levels < 0:
        raise ValueError(
            f"levels is {levels}, expected >= 0: 1 cuts each axis in two, 0 does not cut"
        )
    if patch_chunk is not None and patch_chunk < 1:
        raise ValueError(
            f"patch_chunk is {patch_chunk}, expected a number of patches >= 1, or None for all"
        )
