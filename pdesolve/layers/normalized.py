"""The one place where fields change units: physical outside, standardised inside."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..recorded import recorded


@recorded
class Normalized(nn.Module):
    """An operator between physical fields that works on standardised ones inside.

        y = y_mean + y_std · operator((x - x_mean) / x_std)        channel by channel

    The statistics are buffers: a saved model predicts physical fields by itself.

    Args:
        operator: module from (b, c_in, *grid) to (b, c_out, *grid).
        x_mean, x_std: statistics of the input channels, shape (c_in,), in their units.
        y_mean, y_std: statistics of the output channels, shape (c_out,), in their units.
            A deviation of 0 (a channel that is constant in the data) counts as 1: the channel
            is shifted only.

    Raises:
        ValueError: shapes differ, a deviation is negative, a statistic is not finite, or y_mean
            is not 0 for an operator whose output is zero on the boundary, which the shift
            would spoil.
    """

    x_mean: Tensor
    x_std: Tensor
    y_mean: Tensor
    y_std: Tensor

    def __init__(
        self,
        operator: nn.Module,
        x_mean: Float[Tensor, "..."],
        x_std: Float[Tensor, "..."],
        y_mean: Float[Tensor, "..."],
        y_std: Float[Tensor, "..."],
    ):
        super().__init__()
        _check_statistics("x", x_mean, x_std)
        _check_statistics("y", y_mean, y_std)
        if getattr(operator, "zero_on_boundary", False) and bool((y_mean != 0).any()):
            raise ValueError(
                f"y_mean is {y_mean.tolist()}, expected 0 for an operator whose output is zero on "
                f"the boundary: pass zeros, and the root mean square of y as y_std"
            )
        self.operator = operator
        # The dtype in which torch builds parameters; float64 statistics would promote every field.
        dtype = torch.get_default_dtype()
        self.register_buffer("x_mean", x_mean.to(dtype, copy=True))
        self.register_buffer("x_std", torch.where(x_std == 0, 1.0, x_std).to(dtype))
        self.register_buffer("y_mean", y_mean.to(dtype, copy=True))
        self.register_buffer("y_std", torch.where(y_std == 0, 1.0, y_std).to(dtype))

    def forward(
        self,
        x: Float[Tensor, "b c_in *sensors"],
        condition: Float[Tensor, "b p"] | None = None,
        *,
        points: Float[Tensor, "... n d"] | None = None,
    ) -> Float[Tensor, "b c_out *grid"]:
        """Physical prediction for physical input.

        Args:
            x: input fields.
            condition: parameters of each sample, for an operator that takes some.
            points: where the output is wanted, for an operator of scattered points.

        Raises:
            ValueError: x or the operator's output has other channels than the statistics.
        """
        _check_channels("x", x, self.x_mean)
        x = (x - _along(x, self.x_mean)) / _along(x, self.x_std)
        # An operator without conditions need not have the argument.
        given = (x,) if condition is None else (x, condition)
        y = self.operator(*given) if points is None else self.operator(*given, points=points)
        _check_channels("the operator's output", y, self.y_mean)
        return y * _along(y, self.y_std) + _along(y, self.y_mean)

    def standardised(self, y: Float[Tensor, "b c_out *grid"]) -> Float[Tensor, "b c_out *grid"]:
        """Return physical outputs as the operator inside makes them."""
        return (y - _along(y, self.y_mean)) / _along(y, self.y_std)


def _along(field: Tensor, statistic: Tensor) -> Tensor:
    """The statistic per channel, shaped to meet a field (b, c, *grid)."""
    # Not cast to the field's dtype: a bfloat16 output becomes float32 with its units.
    return statistic.reshape(-1, *[1] * (field.ndim - 2))


def _check_statistics(name: str, mean: Tensor, std: Tensor) -> None:
    if mean.shape != std.shape or mean.ndim != 1:
        raise ValueError(
            f"{name}_mean and {name}_std have shapes {tuple(mean.shape)} and {tuple(std.shape)}, "
            f"expected one number per channel in each"
        )
    if not bool((torch.isfinite(mean) & torch.isfinite(std) & (std >= 0)).all()):
        raise ValueError(
            f"{name}_mean {mean.tolist()} or {name}_std {std.tolist()} is negative or not finite, "
            f"expected finite means and deviations >= 0: check the data for NaN"
        )


def _check_channels(name: str, field: Tensor, mean: Tensor) -> None:
    if field.ndim < 3 or field.shape[1] != len(mean):
        raise ValueError(
            f"{name} has shape {tuple(field.shape)}, expected (batch, {len(mean)} channels, *grid)"
            f": the statistics are for {len(mean)} channels"
        )
