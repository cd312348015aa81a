"""Multigrid neural operator: layers whose linear part is one multigrid V-cycle with channels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.boundary import Boundary
from ..layers.exact_loading import load_exactly
from ..layers.field_norm import FieldNorm, Norm
from ..layers.official_mgno import (
    HELMHOLTZ_KERNELS,
    HELMHOLTZ_SIDE,
    NAVIER_STOKES_SIDE,
    SMOOTH_KERNELS,
    operator_arguments,
    operator_weights,
)
from ..layers.vcycle import CONVOLUTIONS, Idle, Share, Transfer, VCycle
from ..recorded import recorded

Activation = Callable[[Tensor], Tensor]
Head = Literal["linear", "affine", "network", "cycle"]
# Six levels, one smoothing step on the way down, two on the coarsest.
DARCY = ((1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (2, 0))


@recorded
class MgNO(nn.Module):
    """Map between fields by V-cycles and pointwise nonlinearities.

        v ← σ(norm(cycle_l(v)) + W_l v + b_l),  l = 1 ... layers;    y = head(v)   (+ x)

    cycle_l is a `VCycle`, W_l and b_l a pointwise affine map. There is no lifting and there are no
    coordinates: the position of a point is known by its distance from the walls. Takes grids of
    any size, but stencils mean something at one spacing only: on a grid finer than that of the
    training it is another operator.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        width: channels inside.
        layers: number of V-cycles with a nonlinearity behind them.
        iterations: smoothing steps (before, after) the coarser levels, finest level first.
        domain: grid of the training data. Its periodic axes are the default of `boundary`; its
            shape is that of pixelwise norms.
        dims: number of axes; None: those of the domain, else 2.
        boundary: of all stencils, one for all axes or one each, see `layers.boundary`. None:
            periodic along the periodic axes of the domain, Dirichlet along the others.
        bias: of the stencils.
        norm: inside the V-cycles on the way up, one for all levels but the coarsest or one each.
        layer_norm: behind each V-cycle. See `FieldNorm`.
        pointwise: add W_l v + b_l.
        residual: add the last out_channels channels of x to y: the last of several frames.
        head: last map. "linear" is pointwise, "affine" with a bias, "network" two pointwise maps
            with σ between, "cycle" another V-cycle.
        head_width: channels inside the head "network".
        activation: σ, a function of torch or torch.nn.functional.
        restrict_residual, share, prolongation_kernels, transfer, growth, idle: see `VCycle`.

    Raises:
        ValueError: sizes or options that do not fit, with the way out.

    Source: He, Liu and Xu 2024, arXiv 2310.19809; `from_official` loads what its code trained.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 24,
        layers: int = 4,
        iterations: Sequence[Sequence[int]] = DARCY,
        *,
        domain: Grid | None = None,
        dims: int | None = None,
        boundary: Boundary | Sequence[Boundary] | None = None,
        bias: bool = False,
        norm: Norm | Sequence[Norm | None] | None = None,
        layer_norm: Norm | None = None,
        pointwise: bool = True,
        residual: bool = False,
        head: Head = "linear",
        head_width: int = 128,
        activation: Activation = F.gelu,
        restrict_residual: bool = False,
        share: Share | None = None,
        prolongation_kernels: int | Sequence[int] = 4,
        transfer: Transfer = "boundary",
        growth: bool = False,
        idle: Idle | None = None,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.dims = _dims(domain, dims)
        self.activation, self.residual = activation, residual
        _check_channels(in_channels, out_channels, residual=residual)
        shape = None if domain is None else domain.shape
        options: dict[str, Any] = {
            "dims": self.dims,
            "boundary": boundary or _default_boundary(domain, self.dims),
            "bias": bias,
            "norm": norm,
            "shape": shape,
            "restrict_residual": restrict_residual,
            "share": share,
            "prolongation_kernels": prolongation_kernels,
            "transfer": transfer,
            "growth": growth,
            "idle": idle,
        }
        widths = [in_channels] + [width] * layers
        self.cycles = nn.ModuleList(VCycle(c, width, iterations, **options) for c in widths[:-1])
        self.norms = nn.ModuleList(FieldNorm(width, layer_norm, shape) for _ in range(layers))
        convolution = CONVOLUTIONS[self.dims]
        self.pointwise = nn.ModuleList(
            convolution(c, width, 1) for c in (widths[:-1] if pointwise else ())
        )
        self.head: nn.Module
        if head == "cycle":
            self.head = VCycle(widths[-1], out_channels, iterations, **options)
        elif head == "network":
            self.head = _Network(convolution, widths[-1], head_width, out_channels)
        else:
            self.head = convolution(widths[-1], out_channels, 1, bias=head == "affine")

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the points of x.

        Raises:
            ValueError: axes or channels of x are not this operator's, the grid is too small for
                the levels, or a condition is given.
        """
        self._check_input(x, condition)
        v = x
        for layer, (cycle, norm) in enumerate(zip(self.cycles, self.norms, strict=True)):
            u = norm(cycle(v))
            if self.pointwise:
                u = u + self.pointwise[layer](v)
            v = self.activation(u)
        y = self.head(v).contiguous()
        return y + x[:, -self.out_channels :] if self.residual else y

    @classmethod
    def darcy_smooth(
        cls,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        domain: Grid | None = None,
        **changes: Any,
    ) -> "MgNO":
        """Return the published operator for the smooth Darcy set: 678 093 parameters."""
        preset = {"layers": 5, "prolongation_kernels": SMOOTH_KERNELS}
        return cls(in_channels, out_channels, domain=domain, **preset | changes)

    @classmethod
    def darcy_rough(
        cls,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        domain: Grid | None = None,
        **changes: Any,
    ) -> "MgNO":
        """Return that for the rough and the multiscale Darcy set: 572 661 parameters."""
        return cls(in_channels, out_channels, domain=domain, **changes)

    @classmethod
    def pipe(
        cls,
        in_channels: int = 2,
        out_channels: int = 1,
        *,
        domain: Grid | None = None,
        **changes: Any,
    ) -> "MgNO":
        """Return that for the flow in a pipe, from positions to velocity: 783 876 parameters."""
        iterations = ((1, 0), (1, 0), (1, 0), (1, 0), (1, 1), (2, 0))
        preset = {"layers": 5, "iterations": iterations}
        return cls(in_channels, out_channels, domain=domain, **preset | changes)

    @classmethod
    def navier_stokes(
        cls,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        domain: Grid | None = None,
        **changes: Any,
    ) -> "MgNO":
        """Return that for one step of a flow on a torus: 2 885 194 parameters on 64 x 64 points.

        Of these 1 740 800 scale and shift single pixels of the domain, by default that of the
        published data; norm="layer" takes every grid.
        """
        preset = {
            "width": 32,
            "layers": 5,
            "iterations": ((1, 0), (1, 0), (1, 0), (2, 0), (2, 0)),
            "boundary": "periodic",
            "bias": True,
            "norm": "pixelwise",
            "pointwise": False,
            "residual": True,
        }
        domain = domain or Grid((NAVIER_STOKES_SIDE,) * 2, 1.0, periodic=True)
        return cls(in_channels, out_channels, domain=domain, **preset | changes)

    @classmethod
    def helmholtz(
        cls,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        domain: Grid | None = None,
        **changes: Any,
    ) -> "MgNO":
        """Return that from wave speed to wave field: 5 351 806 parameters on 101 x 101 nodes.

        11 241 of them, the first A of each V-cycle, are never used; idle=None leaves them out.
        """
        preset = {
            "width": 20,
            "iterations": ((1, 0), (1, 0), (1, 0), (1, 0), (2, 0)),
            "boundary": "neumann_node",
            "bias": True,
            "layer_norm": "pixelwise",
            "pointwise": False,
            "head": "cycle",
            "prolongation_kernels": HELMHOLTZ_KERNELS,
            "transfer": "unpadded",
            "growth": True,
            "idle": "first",
        }
        domain = domain or Grid((HELMHOLTZ_SIDE,) * 2, 1.0, periodic=False)
        return cls(in_channels, out_channels, domain=domain, **preset | changes)

    @classmethod
    def from_official(
        cls, state_dict: Mapping[str, Tensor], *, variant: str, **constructor: Any
    ) -> "MgNO":
        """Return the operator that an official model is, in the dtype of its weights.

        Args:
            state_dict: of a model of xlliu2017/MgNO, commit 3a68a90, with its own keys.
            variant: name of its class: MgNO_DC, MgNO_DC_smooth, MgNO_NS, MgNO_helm or MgNO_helm2.
            constructor: arguments of that class under its own names.

        Raises:
            ValueError: an unknown class or argument, or weights that do not fit.
        """
        arguments = operator_arguments(variant, **constructor)
        model = cls(**arguments).to(next(iter(state_dict.values())).dtype)
        load_exactly(model, operator_weights(state_dict, arguments))
        return model

    def _check_input(self, x: Tensor, condition: Tensor | None) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build MgNO with the channels of the data and dims=..."
            )
        if condition is not None:
            raise ValueError(
                f"condition of shape {tuple(condition.shape)} given, expected none: MgNO takes no "
                f"parameters; add them to x as constant channels"
            )


class _Network(nn.Sequential):
    """Two pointwise maps with GELU between, whatever the activation of the layers."""

    def __init__(self, convolution: Any, in_channels: int, hidden: int, out_channels: int):
        super().__init__(
            convolution(in_channels, hidden, 1),
            nn.GELU(),
            convolution(hidden, out_channels, 1, bias=False),
        )


def _dims(domain: Grid | None, dims: int | None) -> int:
    if domain is not None and dims not in (None, domain.dims):
        raise ValueError(f"dims is {dims}, expected {domain.dims}, the axes of the domain, or None")
    found = (2 if domain is None else domain.dims) if dims is None else dims
    if found not in CONVOLUTIONS:
        raise ValueError(f"dims is {found}, expected one of {tuple(CONVOLUTIONS)}")
    return found


def _check_channels(in_channels: int, out_channels: int, *, residual: bool) -> None:
    if residual and out_channels > in_channels:
        raise ValueError(
            f"residual with {in_channels} input and {out_channels} output channels, expected as "
            f"many inputs at least: the last {out_channels} channels of x are added to y"
        )


def _default_boundary(domain: Grid | None, dims: int) -> tuple[Boundary, ...]:
    periodic = (False,) * dims if domain is None else domain.periodic
    return tuple("periodic" if wraps else "dirichlet" for wraps in periodic)
