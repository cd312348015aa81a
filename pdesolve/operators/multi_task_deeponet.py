"""DeepONet for several tasks at once: laws of a source, geometries, designs."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.branch import Branch
from ..layers.dense import (
    Activation,
    DenseNetwork,
    DenseNorm,
    activation_of,
    activations_of,
    norms_of,
)
from ..layers.expansion import expansion, fields_of
from ..layers.query_points import QueryPoints
from ..recorded import recorded

Encoding = Literal["coefficients", "form", "both"]


@recorded
class MultiTaskDeepONet(nn.Module):
    """One DeepONet whose branch is told the task of each sample.

        y_c(s) = m(s) Σ_k b_ck(u, task) t_ck(s)

    The task is a law of a source (the condition: number of its form and coefficients), a geometry
    (a mask m, one of the input channels: 1 inside, 0 outside) or a design (any condition).

    Args:
        in_channels: fields of u, the mask included.
        out_channels: fields of y; with `times` all fields of the first time, then of the next.
        domain: grid of the fields; the trunk sees positions scaled to [-1, 1].
        basis: k, functions of each output field.
        branch, trunk: widths of the hidden layers.
        filters, kernel_size: convolutions of the branch, see `Branch`.
        sees_fields: False: the branch sees the condition alone, for designs that it tells fully.
        condition_dim: parameters of a sample.
        forms: number of known laws; the first parameter is then the number of the sample's own,
            0 to forms - 1, and the others are its coefficients. 0: the parameters are no law.
        encoding: what of a law the branch sees: its "coefficients" (a law that was never trained
            on is understood by its coefficients), the "form" as one column for each, or "both".
        mask_channel: position of the mask among the input channels; y is 0 outside. None: there
            is no mask.
        times: of the outputs; the trunk then sees (t, s).
        activation: of the dense layers, one or (branch, trunk), each a function or its name.
        negative_slope: of leaky ReLU, where that is the activation.
        norm: "layer", "batch" or None, one or (branch, trunk).
        dropout: share of the branch's hidden layers that is dropped in training, or one for each.
        skips: add projections of the trunk's layer two before, see `DenseNetwork`.
        branch_last_activation: of the coefficients.

    Raises:
        ValueError: sizes or options that do not fit.

    Source: Kumar et al. 2025, doi:10.1016/j.neunet.2024.107113, arXiv 2408.02198, and its code,
    whose three networks the configs `operator/multi_task_deeponet*` rebuild. Their slope of leaky
    ReLU is not stated: 0.2 or 0.3, by the meaning that Keras gives to its name.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        domain: Grid,
        basis: int = 150,
        branch: Sequence[int] = (128, 128),
        trunk: Sequence[int] = (128, 128, 128),
        filters: Sequence[int] = (),
        kernel_size: int = 5,
        sees_fields: bool = True,
        condition_dim: int = 0,
        forms: int = 0,
        encoding: Encoding = "coefficients",
        mask_channel: int | None = None,
        times: Sequence[float] | None = None,
        activation: Activation | str | Sequence[Activation | str] = F.leaky_relu,
        negative_slope: float = 0.2,
        norm: DenseNorm | Sequence[DenseNorm | None] | None = None,
        dropout: float | Sequence[float] = 0.0,
        skips: bool = False,
        branch_last_activation: Activation | str | None = None,
    ):
        super().__init__()
        if mask_channel is not None and not 0 <= mask_channel < in_channels:
            raise ValueError(
                f"mask_channel is {mask_channel}, expected 0 to {in_channels - 1}: the position "
                f"of the mask among the input channels, or None"
            )
        if forms and not condition_dim:
            raise ValueError(
                f"forms is {forms} and condition_dim 0, expected the parameters of a law: use a "
                f"dataset whose samples carry the number of their law and its coefficients"
            )
        outputs, self.frames = fields_of(out_channels, times)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, domain.dims
        self.domain, self.basis, self.outputs = domain, basis, outputs
        self.forms, self.encoding, self.condition_dim = forms, encoding, condition_dim
        self.mask_channel, self.sees_fields = mask_channel, sees_fields
        # Outside the mask y is 0, which a shift of the output would spoil.
        self.zero_on_boundary = mask_channel is not None
        leaky = partial(F.leaky_relu, negative_slope=negative_slope)
        of_branch, of_trunk = (
            leaky if one is F.leaky_relu else one for one in activations_of(activation)
        )
        branch_norm, trunk_norm = norms_of(norm)
        last = branch_last_activation
        self.points = QueryPoints(domain, domain.dims, times=times)
        self.branch = Branch(
            in_channels if sees_fields else 0,
            domain.shape,
            _encoded(condition_dim, forms, encoding),
            outputs * basis,
            branch,
            of_branch,
            filters=filters,
            kernel_size=kernel_size,
            norm=branch_norm,
            dropout=dropout,
            last_activation=None if last is None else activation_of(last),
        )
        self.trunk = DenseNetwork(
            (self.points.features, *trunk, outputs * basis), of_trunk, norm=trunk_norm, skips=skips
        )

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the nodes of the domain, 0 outside the mask.

        Raises:
            ValueError: x is not on the nodes of the domain or has other channels, a mask is all
                outside, the condition has other parameters, or tells an unknown law.
        """
        self._check_input(x)
        mask = None if self.mask_channel is None else self._mask(x)
        y = self.at(x, self.points.nodes(x), condition).unflatten(2, self.domain.shape)
        return y if mask is None else y * mask

    def at(
        self,
        x: Float[Tensor, "b c_in *grid"],
        points: Float[Tensor, "*b n d"],
        condition: Float[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b c_out n"]:
        """Output at any points, shape (n, d) for all samples or (b, n, d), without the mask.

        Raises:
            ValueError: as `forward`.
        """
        self._check_input(x)
        b = self.branch(x, self._encoding(condition)).unflatten(1, (self.outputs, self.basis))
        t = self.trunk(self.points(points)).unflatten(-1, (self.outputs, self.basis))
        return expansion(b, t, outputs=self.outputs, frames=self.frames)

    def freeze_for_transfer(self) -> list[str]:
        """Freeze what a new task keeps of the tasks before, and return the names of it.

        Kept are the convolutions after the first and the trunk's layers before the last; the
        branch's dense layers, its first convolution and the trunk's last layer go on learning.

        Source: the transfer step of the published code.
        """
        kept = list(self.trunk.layers)[:-1]
        if self.branch.convolutions is not None:
            kept += list(self.branch.convolutions.layers)[1:]
        for layer in kept:
            layer.requires_grad_(False)
        return [name for name, p in self.named_parameters() if not p.requires_grad]

    def _mask(self, x: Tensor) -> Tensor:
        mask = x[:, self.mask_channel, None]
        if not torch.compiler.is_compiling():
            empty = (~mask.flatten(1).any(1)).nonzero().flatten().tolist()
            if empty:
                raise ValueError(
                    f"the masks of samples {empty[:8]} of the batch are 0 everywhere, expected 1 "
                    f"at the points inside: there is nothing to predict; leave them out"
                )
        return mask

    def _encoding(self, condition: Tensor | None) -> Tensor | None:
        """What the branch sees of a condition."""
        if condition is None or not self.forms or condition.shape[1] != self.condition_dim:
            return condition
        form, coefficients = condition[:, 0], condition[:, 1:]
        if not torch.compiler.is_compiling():
            known = (form == form.round()) & (form >= 0) & (form < self.forms)
            if not known.all():
                raise ValueError(
                    f"the law of a sample is number {form[~known][0].item():g}, expected 0 to "
                    f"{self.forms - 1}: build the operator with more forms, and "
                    f'encoding="coefficients" for laws that it was not trained on'
                )
        if self.encoding == "coefficients":
            return coefficients
        columns = F.one_hot(form.long(), self.forms).to(coefficients.dtype)
        return columns if self.encoding == "form" else torch.cat([columns, coefficients], 1)

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build MultiTaskDeepONet with the channels of the data"
            )
        if tuple(x.shape[2:]) != self.domain.shape:
            raise ValueError(
                f"x has points {tuple(x.shape[2:])}, expected the sensors {self.domain.shape}: "
                f"interpolate the input, and ask for other points with at(x, points)"
            )


def _encoded(condition_dim: int, forms: int, encoding: Encoding) -> int:
    """Numbers that a condition becomes."""
    if not forms:
        return condition_dim
    coefficients = condition_dim - 1
    return {"coefficients": coefficients, "form": forms, "both": forms + coefficients}[encoding]
