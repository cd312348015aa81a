"""DeepONet on the principal modes of its training outputs."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.branch import Branch
from ..layers.dense import Activation, DenseNetwork, DenseNorm, activation_of
from ..layers.expansion import expansion
from ..layers.query_points import QueryPoints
from ..recorded import recorded


@recorded
class PODDeepONet(nn.Module):
    """Map fields to a sum of modes that were found in the training outputs.

        y_c(s) = mean_c(s) + Σ_k b_k(u) φ_kc(s) [+ Σ_k b'_ck(u) t_ck(s)] + β_c

    The modes φ are the first principal components of the outputs, channels joined (several fields
    and times share the coefficients), scaled to root mean square 1. `fit_modes` finds them before
    training; they are saved with the weights and not trained.

    Args:
        in_channels: fields of u.
        out_channels: fields of y.
        domain: grid of the fields and of the modes.
        basis: modes, at most as many as training samples.
        branch: widths of the branch's hidden layers.
        trunk: widths of the hidden layers of a learned trunk beside the modes; None: modes alone.
        trunk_basis: functions of the learned trunk for each output channel.
        filters: convolutions of the branch, see `Branch`.
        condition_dim: parameters of a sample, which the branch sees too.
        centred: modes of the outputs minus their mean; False: of the outputs as they are, and no
            mean is added.
        bias: add β.
        activation: of all networks, a function or its name.
        norm: of the branch's hidden layers.

    Raises:
        ValueError: sizes that do not fit.

    Source: Lu et al. 2022, arXiv 2111.05512, section 3.1.3 (centred); DeepXDE takes any basis.
    """

    modes: Tensor
    mean: Tensor
    fitted: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        domain: Grid,
        basis: int = 32,
        branch: Sequence[int] = (128, 128),
        trunk: Sequence[int] | None = None,
        trunk_basis: int = 32,
        filters: Sequence[int] = (),
        condition_dim: int = 0,
        centred: bool = True,
        bias: bool = True,
        activation: Activation | str = F.gelu,
        norm: DenseNorm | None = None,
    ):
        super().__init__()
        activation = activation_of(activation)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, domain.dims
        self.domain, self.basis, self.centred = domain, basis, centred
        learned = 0 if trunk is None else out_channels * trunk_basis
        self.branch = Branch(
            in_channels, domain.shape, condition_dim, basis + learned, branch, activation,
            filters=filters, norm=norm,
        )  # fmt: skip
        self.points = QueryPoints(domain, domain.dims)
        self.trunk = None
        if trunk is not None:
            sizes = (self.points.features, *trunk, learned)
            self.trunk = DenseNetwork(sizes, activation, last_activation=activation)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("modes", torch.zeros(basis, out_channels, *domain.shape))
        self.register_buffer("mean", torch.zeros(out_channels, *domain.shape))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def fit_modes(self, outputs: Iterable[Tensor]) -> Float[Tensor, " basis"]:
        """Find the modes of training outputs, and return the share of their energy in each.

        Args:
            outputs: batches (b, c_out, *grid) as this module makes them (standardised, inside
                `Normalized`); all are held in memory as float64 while the modes are found.

        Raises:
            ValueError: fewer outputs than modes, or outputs of another shape.
        """
        fields = torch.cat([batch.double() for batch in outputs])
        expected = (self.out_channels, *self.domain.shape)
        if tuple(fields.shape[1:]) != expected or len(fields) < self.basis:
            raise ValueError(
                f"outputs are {len(fields)} fields of shape {tuple(fields.shape[1:])}, expected "
                f"{self.basis} or more of shape {expected}: use more training samples or fewer "
                f"modes (basis)"
            )
        mean = fields.mean(0) if self.centred else torch.zeros_like(fields[0])
        # numpy's convention: rows of the last factor are the principal directions.
        _, sizes, directions = torch.linalg.svd((fields - mean).flatten(1), full_matrices=False)
        scale = directions.shape[1] ** 0.5
        self.modes.copy_((directions[: self.basis] * scale).reshape(self.modes.shape))
        self.mean.copy_(mean)
        self.fitted.fill_(True)
        energy = sizes.square()
        return energy[: self.basis] / energy.sum()

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the nodes of the domain, where the modes are known.

        Raises:
            ValueError: x is not on the nodes of the domain or has other channels, or the
                condition has other parameters than `condition_dim`.
            RuntimeError: the modes were not found yet.
        """
        self._check(x)
        b = self.branch(x, condition)
        y = self.mean + (b[:, : self.basis] @ self.modes.flatten(1)).unflatten(1, self.mean.shape)
        if self.trunk is not None:
            t = self.trunk(self.points(self.points.nodes(x)))
            learned = expansion(
                b[:, self.basis :].unflatten(1, (self.out_channels, -1)),
                t.unflatten(-1, (self.out_channels, -1)),
                outputs=self.out_channels,
            )
            y = y + learned.unflatten(2, self.domain.shape)
        return y if self.bias is None else y + self.bias.reshape(-1, *[1] * self.dims)

    def _check(self, x: Tensor) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} grid axes): build PODDeepONet with the channels of the data"
            )
        if not torch.compiler.is_compiling() and not self.fitted:
            raise RuntimeError(
                "the modes are not known, expected those of the training outputs: call "
                "fit_modes(outputs) before training, with the outputs divided by their units"
            )
