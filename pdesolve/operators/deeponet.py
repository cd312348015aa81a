"""Deep operator network: an input function picks the coefficients of a learned basis."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..layers.branch import Branch
from ..layers.dense import Activation, DenseNetwork, DenseNorm, activations_of
from ..layers.expansion import box_factor, expansion, fields_of
from ..layers.query_points import QueryPoints
from ..recorded import recorded

Strategy = Literal["independent", "split_both", "split_branch", "split_trunk"]
STRATEGIES = ("independent", "split_both", "split_branch", "split_trunk")

# y(points) with its hard boundary values: points (..., n, d), y (b, c, n).
BoundaryTransform = Callable[[Tensor, Tensor], Tensor]


@recorded
class DeepONet(nn.Module):
    """Map a function, known at fixed sensors, to a function that can be asked for at any point.

        y_c(u)(s) = Σ_k b_ck(u) t_ck(s) + β_c,     k = 1 ... basis

    b comes from the branch network, which sees u at the sensors, t from the trunk network, which
    sees the point s. As a module it maps fields on a grid to fields on the same grid; `at` answers
    at any points, the same ones for all samples or others for each.

    Args:
        in_channels: fields of u.
        out_channels: fields of y; with `times` all fields of the first time, then of the next.
        domain: grid of the sensors and of the points asked for by default; the trunk sees
            positions scaled to [-1, 1]. None: `sensors` and `dims` tell what comes.
        sensors: without a domain, number of points of u, which has shape (b, c_in, sensors).
        dims: without a domain, coordinates of a point; the trunk sees them as they are.
        basis: k, functions of each output channel. Good values 50 to 300.
        branch, trunk: widths of the hidden layers.
        filters: convolutional branch: channels after each 5-point convolution, each followed by a
            pooling of 2; for fields on many points.
        condition_dim: parameters of a sample, which the branch sees too.
        times: of the outputs; the trunk then sees (t, s).
        strategy: how several output channels are made: "independent" networks for each, one pair
            of networks whose outputs are dealt to the channels ("split_both"), or the
            coefficients ("split_branch") or functions ("split_trunk") alone.
        stacked: a small branch network for each coefficient, as first published.
        bias: add β.
        trunk_last_activation: σ after the trunk's last layer too.
        activation: σ, one for both networks or (branch, trunk), each a function or its name.
        norm: of the hidden layers: "layer", "batch" or None.
        dropout: share of the branch's hidden layers that is dropped in training.
        fourier_features, fourier_scales: see `QueryPoints`; periodic axes of the domain always
            enter as cosine and sine.
        boundary: "zero" makes y exactly 0 on the walls of the domain, by the factor
            Π 4 s_j (1 - s_j) over its axes that are not periodic, s_j = x_j / L_j; or a function
            (points, y) -> y, which a saved model does not keep.

    Raises:
        ValueError: neither domain nor sensors and dims, or sizes that do not fit.

    Source: Lu et al. 2021, doi:10.1038/s42256-021-00302-5; Lu et al. 2022, arXiv 2111.05512
    (several outputs). Bias and last activation as in DeepXDE, whose outputs it reproduces.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        domain: Grid | None = None,
        sensors: int | None = None,
        dims: int | None = None,
        basis: int = 100,
        branch: Sequence[int] = (128, 128),
        trunk: Sequence[int] = (128, 128, 128),
        filters: Sequence[int] = (),
        condition_dim: int = 0,
        times: Sequence[float] | None = None,
        strategy: Strategy = "independent",
        stacked: bool = False,
        bias: bool = True,
        trunk_last_activation: bool = True,
        activation: Activation | str | Sequence[Activation | str] = F.gelu,
        norm: DenseNorm | None = None,
        dropout: float = 0.0,
        fourier_features: int = 0,
        fourier_scales: Sequence[float] = (1.0,),
        boundary: Literal["zero"] | BoundaryTransform | None = None,
    ):
        super().__init__()
        shape, dims = _sensors(domain, sensors, dims)
        outputs, self.frames = fields_of(out_channels, times)
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}, expected one of {STRATEGIES}")
        if boundary == "zero" and (domain is None or all(domain.periodic)):
            raise ValueError(
                f'boundary="zero" with domain {domain}, expected a grid with walls: pass '
                f"domain=Grid(...) with an axis that is not periodic"
            )
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, len(shape)
        self.domain, self.basis, self.outputs = domain, basis, outputs
        self.boundary, self.zero_on_boundary = boundary, boundary == "zero"
        self.points = QueryPoints(
            domain,
            dims,
            times=times,
            fourier_features=fourier_features,
            fourier_scales=fourier_scales,
        )
        activations = activations_of(activation)
        copies = outputs if strategy == "independent" else 1
        # How many channels the outputs of one branch and of one trunk are dealt to.
        b = outputs if strategy in ("split_both", "split_branch") else 1
        t = outputs if strategy in ("split_both", "split_trunk") else 1
        self.branches = nn.ModuleList(
            Branch(
                in_channels, shape, condition_dim, b * basis, branch, activations[0],
                filters=filters, norm=norm, dropout=dropout, stacked=stacked,
            )
            for _ in range(copies)
        )  # fmt: skip
        self.trunks = nn.ModuleList(
            DenseNetwork(
                (self.points.features, *trunk, t * basis),
                activations[1],
                norm=norm,
                last_activation=activations[1] if trunk_last_activation else None,
            )
            for _ in range(copies)
        )
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    @classmethod
    def from_deepxde(
        cls,
        state_dict: Mapping[str, Tensor],
        *,
        layer_sizes_branch: Sequence[int],
        layer_sizes_trunk: Sequence[int],
        activation: str | Mapping[str, str],
        num_outputs: int = 1,
        multi_output_strategy: Strategy | None = None,
    ) -> "DeepONet":
        """Return the operator that a fully connected network of DeepXDE is, with its weights.

        The arguments are those of `deepxde.nn.DeepONet` and `DeepONetCartesianProd`. Call
        `at(u[:, None], points)` with its branch input u (b, m) and trunk input points (n, d), or
        points[:, None] for the aligned class, whose rows are one query each.

        Args:
            state_dict: of the torch network.

        Raises:
            ValueError: unknown activation, or weights that do not fit; the message names them.
        """
        both = isinstance(activation, str)
        named = (activation, activation) if both else (activation["branch"], activation["trunk"])
        strategy = multi_output_strategy or "independent"
        dealt = num_outputs if strategy in ("split_both", "split_branch") else 1
        model = cls(
            1,
            num_outputs,
            sensors=layer_sizes_branch[0],
            dims=layer_sizes_trunk[0],
            basis=layer_sizes_branch[-1] // dealt,
            branch=layer_sizes_branch[1:-1],
            trunk=layer_sizes_trunk[1:-1],
            strategy=strategy,
            activation=named,
        )
        names = _deepxde_names(model)
        foreign = [name for group in names.values() for name in group]
        wrong = set(foreign) ^ set(state_dict)
        if wrong:
            raise ValueError(
                f"state_dict lacks or has besides {sorted(wrong)}, expected exactly "
                f"{sorted(foreign)}: check layer sizes, num_outputs and multi_output_strategy"
            )
        own = {
            name: torch.stack([state_dict[one] for one in group])
            if name == "bias"
            else state_dict[group[0]]
            for name, group in names.items()
        }
        model.to(own["bias"].dtype).load_state_dict(own)
        return model

    def forward(
        self,
        x: Float[Tensor, "b c_in *sensors"],
        condition: Float[Tensor, "b p"] | None = None,
        *,
        points: Float[Tensor, "*b n d"] | None = None,
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the nodes of the domain, or values at points, which `at` describes.

        Raises:
            ValueError: x is not on the sensors, has other channels, or there is no domain; the
                condition has other parameters than `condition_dim`.
        """
        if points is not None:
            return self.at(x, points, condition)
        if self.domain is None:
            raise ValueError(
                "points are missing, expected those where the output is wanted, since the "
                "operator has no domain: pass points=..."
            )
        return self.at(x, self.points.nodes(x), condition).unflatten(2, self.domain.shape)

    def at(
        self,
        x: Float[Tensor, "b c_in *grid"],
        points: Float[Tensor, "*b n d"],
        condition: Float[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b c_out n"]:
        """Output at any points.

        Args:
            x: input fields at the sensors.
            points: in units of length, shape (n, d) for all samples, or (b, n, d): (b, 1, d) is
                one query a row.
            condition: parameters of each sample.

        Returns:
            Shape (b, c_out, n).

        Raises:
            ValueError: as `forward`; points of another shape.
        """
        self._check_input(x, points)
        features = self.points(points)
        b = torch.cat(
            [net(x, condition).unflatten(1, (-1, self.basis)) for net in self.branches], 1
        )
        t = torch.cat([net(features).unflatten(-1, (-1, self.basis)) for net in self.trunks], -2)
        y = expansion(b, t, outputs=self.outputs, frames=self.frames)
        y = y if self.bias is None else y + self.bias.repeat(self.frames)[:, None]
        if self.boundary is None:
            return y
        if callable(self.boundary):
            return self.boundary(points, y)
        assert self.domain is not None
        return y * box_factor(points, self.domain).unsqueeze(-2)

    def _check_input(self, x: Tensor, points: Tensor) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, "
                f"{self.dims} axes of sensors): build DeepONet with the channels of the data"
            )
        if points.ndim not in (2, 3) or points.shape[-1] != self.points.dims:
            raise ValueError(
                f"points has shape {tuple(points.shape)}, expected (n, {self.points.dims}), or "
                f"(batch, n, {self.points.dims}) for other points in each sample"
            )


def _sensors(domain: Grid | None, sensors: int | None, dims: int | None) -> tuple[tuple, int]:
    """Shape of the sensors and coordinates of a point."""
    if domain is not None and sensors is None and dims is None:
        return domain.shape, domain.dims
    if domain is None and sensors is not None and dims is not None:
        return (sensors,), dims
    raise ValueError(
        f"domain is {domain}, sensors {sensors} and dims {dims}, expected a domain, or both of "
        f"sensors and dims: a grid says where sensors are and how many coordinates a point has"
    )


def _deepxde_names(model: DeepONet) -> dict[str, tuple[str, ...]]:
    """Our name: the names of what it holds in DeepXDE's state dict."""
    names = {"bias": tuple(f"b.{k}" for k in range(model.outputs))}
    for name in model.state_dict():
        if name == "bias":
            continue
        network, copy, *_, layer, kind = name.split(".")
        network = {"branches": "branch", "trunks": "trunk"}[network]
        copies = f".{copy}" if len(model.branches) > 1 else ""
        names[name] = (f"{network}{copies}.linears.{layer}.{kind}",)
    return names
