"""Fields that are given, at any points and with their derivatives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp

from ..ops.kronecker import mode_product
from .axis import Axis
from .spectrum import Spectrum, pursue, svd

_ROUNDING = 1e-13


class Interpolant:
    """A stored field between its nodes: the least squares fit of the bands that it has.

    Args:
        name: in messages.
        values: on the nodes.
        axes: of the grid.
        noise: standard deviation of the values; 0 lets it be found.

    Raises:
        ValueError: the values do not lie on the nodes, or are not finite.
    """

    def __init__(
        self, name: str, values: Float[Tensor, "*n"], axes: Sequence[Axis], noise: float = 0.0
    ):
        shape = tuple(len(axis.nodes) for axis in axes)
        if tuple(values.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}, expected the grid's {shape}, a number "
                "or a function of the coordinates"
            )
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name} has a NaN or infinity, expected finite values")
        self.nodal = values.double().to(axes[0].nodes.device)
        self._axes, self.given_noise = tuple(axes), noise
        self.spectra = self._pursued(noise)
        if not noise and any(s.noise for s in self.spectra) and any(s.broad for s in self.spectra):
            # One axis has told the noise of all.
            self.spectra = self._pursued(max(s.noise for s in self.spectra))
        self._features, coefficients = [], self.nodal
        for j, (axis, spectrum) in enumerate(zip(axes, self.spectra, strict=True)):
            bands = ((0.0, 0.8 * axis.nyquist),) if spectrum.broad else spectrum.bands
            features = axis.features(bands)
            self._features.append(features)
            left, sizes, right = svd(features(axis.nodes))
            # Smaller ones would turn what the bands do not explain into large coefficients.
            hidden = self.noise * self.nodal.numel() ** 0.5 / max(float(self.nodal.norm()), 1e-300)
            kept = sizes > max(_ROUNDING, spectrum.remainder, hidden) * sizes[0]
            # Factor by factor: the rounding of an assembled inverse would spread to all functions.
            projected = mode_product(left[:, kept].T, coefficients, j - len(axes))
            scaled = mode_product(torch.diag(1 / sizes[kept]), projected, j - len(axes))
            coefficients = mode_product(right[kept].T, scaled, j - len(axes))
        self._coefficients = coefficients

    def _pursued(self, noise: float) -> list[Spectrum]:
        return [
            pursue(
                self.nodal.movedim(j, 0).reshape(len(axis.nodes), -1), axis,
                width=4.0, known_noise=noise,
            )
            for j, axis in enumerate(self._axes)
        ]  # fmt: skip

    @property
    def noise(self) -> float:
        """Standard deviation of white noise in the values, 0 where there is none."""
        return max(spectrum.noise for spectrum in self.spectra)

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        """Return a derivative on the tensor product of the points; stored values on the nodes."""
        at_nodes = all(
            len(x) == len(a.nodes) and bool(torch.equal(x, a.nodes))
            for x, a in zip(points, self._axes, strict=True)
        )
        if at_nodes and not any(orders):
            return self.nodal
        result = self._coefficients
        for j, (features, order) in enumerate(zip(self._features, orders, strict=True)):
            result = mode_product(features(points[j], order), result, j - len(self._axes))
        return result


@runtime_checkable
class Field(Protocol):
    """What tells its values and derivatives on any tensor product, such as `Interpolant`."""

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        """Return a derivative on the tensor product of the points."""
        ...


# A number, values on the nodes, or a function of the coordinates.
Given = float | Tensor | Field | Callable[..., Tensor]


def known_values(
    fields: Mapping[str, Given],
    wanted: Sequence[tuple[str, tuple[int, ...]]],
    points: Sequence[Float[Tensor, "_"]],
) -> Float[Tensor, "q *n"]:
    """Return derivatives of fields on the tensor product of the points of each axis.

    Args:
        fields: numbers and functions by name; stored values go through `interpolant` first. A
            function gets one tensor an axis, which broadcast against each other.
        wanted: name and derivative orders of each row.
        points: (n_j,) for each axis.
    """
    shape = tuple(len(x) for x in points)
    rows = [field_values(fields[name], orders, points) for name, orders in wanted]
    return torch.stack(rows) if rows else points[0].new_zeros(0, *shape)


def field_values(
    field: Given, orders: tuple[int, ...], points: Sequence[Float[Tensor, "_"]]
) -> Float[Tensor, "*n"]:
    """Return one derivative of one field on the tensor product of the points."""
    shape = tuple(len(x) for x in points)
    if isinstance(field, int | float):
        return points[0].new_full(shape, 0.0 if any(orders) else float(field))
    if isinstance(field, Field):
        return field.at(orders, points)
    assert callable(field)
    mesh = [
        x.reshape([-1 if i == j else 1 for i in range(len(shape))]) for j, x in enumerate(points)
    ]
    return differentiated(field, orders)(*mesh).broadcast_to(shape)


def differentiated(function: Callable[..., Tensor], orders: tuple[int, ...]) -> Any:
    """Return the partial derivative of a function of coordinates.

    By the function's own `derivative(orders)` if it has one, else by forward differentiation.
    """
    if any(orders) and hasattr(function, "derivative"):
        return function.derivative(orders)  # pyright: ignore[reportFunctionMemberAccess]
    for axis, order in enumerate(orders):
        for _ in range(order):
            function = _partial(function, axis)
    return function


def _partial(function: Callable[..., Tensor], axis: int) -> Callable[..., Tensor]:
    def slope(*x: Tensor) -> Tensor:
        tangents = tuple(
            (torch.ones_like if i == axis else torch.zeros_like)(v) for i, v in enumerate(x)
        )
        return jvp(function, x, tangents)[1]

    return slope
