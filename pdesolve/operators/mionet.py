"""Multiple-input operator network: one branch for each input function, merged by their product."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.branch import Branch
from ..layers.dense import Activation, DenseNetwork, activation_of
from ..layers.expansion import expansion, fields_of
from ..layers.query_points import QueryPoints
from ..recorded import recorded

Merge = Literal["product", "sum", "concatenation"]


@recorded
class MIONet(nn.Module):
    """Map several functions, each known at the nodes of a grid, to a function of any point.

        y_c(s) = Σ_k b¹_ck(u_1) · b²_ck(u_2) · ... · t_ck(s) + β_c

    Every input channel is a function of its own; the parameters of a sample, where there are any,
    are one more.

    Args:
        in_channels: functions u_1, u_2, ...
        out_channels: fields of y; with `times` all fields of the first time, then of the next.
        domain: grid of the functions; the trunk sees positions scaled to [-1, 1].
        basis: k, functions of each output field.
        branch, trunk: widths of the hidden layers.
        filters: convolutions of the branches, see `Branch`.
        condition_dim: parameters of a sample, seen by a branch of their own.
        times: of the outputs; the trunk then sees (t, s).
        merge: of the branches: their "product", their "sum", or a linear map of their
            "concatenation".
        bias: add β.
        trunk_last_activation: the activation after the trunk's last layer too.
        activation: of all networks, a function or its name.

    Raises:
        ValueError: sizes or options that do not fit.

    Source: Jin et al. 2022, arXiv 2202.06137, equation 3.6 (low rank: the product).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        domain: Grid,
        basis: int = 100,
        branch: Sequence[int] = (128, 128),
        trunk: Sequence[int] = (128, 128, 128),
        filters: Sequence[int] = (),
        condition_dim: int = 0,
        times: Sequence[float] | None = None,
        merge: Merge = "product",
        bias: bool = True,
        trunk_last_activation: bool = True,
        activation: Activation | str = F.gelu,
    ):
        super().__init__()
        activation = activation_of(activation)
        outputs, self.frames = fields_of(out_channels, times)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, domain.dims
        self.domain, self.basis, self.outputs, self.merge = domain, basis, outputs, merge
        self.condition_dim = condition_dim
        self.points = QueryPoints(domain, domain.dims, times=times)
        size = outputs * basis
        branches = [
            Branch(1, domain.shape, 0, size, branch, activation, filters=filters)
            for _ in range(in_channels)
        ]
        if condition_dim:
            branches.append(Branch(0, domain.shape, condition_dim, size, branch, activation))
        self.branches = nn.ModuleList(branches)
        concatenated = merge == "concatenation"
        self.merger = nn.Linear(len(branches) * size, size) if concatenated else None
        self.trunk = DenseNetwork(
            (self.points.features, *trunk, size),
            activation,
            last_activation=activation if trunk_last_activation else None,
        )
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the nodes of the domain.

        Raises:
            ValueError: x is not on the nodes of the domain or has other channels; the condition
                has other parameters than `condition_dim`.
        """
        return self.at(x, self.points.nodes(x), condition).unflatten(2, self.domain.shape)

    def at(
        self,
        x: Float[Tensor, "b c_in *grid"],
        points: Float[Tensor, "*b n d"],
        condition: Float[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b c_out n"]:
        """Output at any points, shape (n, d) for all samples or (b, n, d).

        Raises:
            ValueError: as `forward`.
        """
        self._check_input(x)
        b = self._merged(x, condition).unflatten(1, (self.outputs, self.basis))
        t = self.trunk(self.points(points)).unflatten(-1, (self.outputs, self.basis))
        y = expansion(b, t, outputs=self.outputs, frames=self.frames)
        return y if self.bias is None else y + self.bias.repeat(self.frames)[:, None]

    def _merged(self, x: Tensor, condition: Tensor | None) -> Tensor:
        functions = x.split(1, 1)
        seen = [net(u, None) for net, u in zip(self.branches, functions, strict=False)]
        # The last branch is that of the parameters, where there are any.
        if self.condition_dim or condition is not None:
            seen.append(self.branches[-1](functions[-1], condition))
        if self.merger is not None:
            return self.merger(torch.cat(seen, 1))
        together = torch.stack(seen)
        return together.prod(0) if self.merge == "product" else together.sum(0)

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build MIONet with the channels of the data"
            )
