"""The residual of an equation as a pointwise function of the derivatives of its unknown.

A residual reads its unknown only through a derivative d(u, orders). So it is a function of the
values of those derivatives at one point, and its linearisation is a coefficient for each of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# One derivative order an axis, such as (2, 0).
Orders = tuple[int, ...]

# Changes of a coefficient below this share of it are rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Token:
    """Stands in a residual for a field that it may only read through d."""

    name: str


@dataclass(frozen=True, eq=False)
class Jet:
    """A residual, the derivatives that it reads, and its linearisation.

    Made by `jet_of`. At n points the derivatives of the unknown are `jet` (k, n), in the order
    of `orders`; those of known fields are `known` (q, n), in the order of `known_orders`.
    """

    residual: Callable[..., Tensor]
    arguments: Mapping[str, Any]
    orders: tuple[Orders, ...]
    known_orders: tuple[tuple[str, Orders], ...]

    def value(self, jet: Float[Tensor, "k *n"], known: Float[Tensor, "q *n"]) -> Tensor:
        """Return the residual at each point, shape (*n)."""
        unknown = self.arguments["_unknown"]

        def d(field: Any, orders: Orders) -> Tensor:
            if field is unknown:
                return jet[self.orders.index(tuple(orders))]
            if isinstance(field, Token):
                return known[self.known_orders.index((field.name, tuple(orders)))]
            return _derivative_of_number(field, orders, jet)

        return _called(self.residual, d, self.arguments) + torch.zeros_like(jet[0])

    def linearised(self, jet: Float[Tensor, "k *n"], known: Float[Tensor, "q *n"]) -> Tensor:
        """Return ∂R/∂(derivative), shape (k, *n), by one reverse sweep.

        Points do not mix, so the gradient of the sum over all points has every column. Forward
        differentiation would be the more natural, but makes torch load its compiler: seconds, and
        more memory than most solves need.
        """
        with torch.enable_grad():
            point = jet.detach().requires_grad_()
            total = self.value(point, known).sum()
        if not total.requires_grad:
            return torch.zeros_like(jet)
        (slopes,) = torch.autograd.grad(total, point, allow_unused=True)
        return torch.zeros_like(jet) if slopes is None else slopes

    def is_linear(self, known: Float[Tensor, "q n"]) -> bool:
        """Return whether the coefficients are the same wherever they are taken."""
        generator = torch.Generator().manual_seed(0)
        shape = (2, len(self.orders), known.shape[1])
        draws = torch.randn(shape, generator=generator, dtype=torch.float64).to(known.device)
        first, second = (self.linearised(draw, known) for draw in draws)
        return bool((first - second).abs().max() <= _ROUNDING * first.abs().max())

    def highest(self, axis: int) -> int:
        """Return the highest derivative along an axis."""
        return max(orders[axis] for orders in self.orders)


def jet_of(equation: Any, dims: int, fields: Mapping[str, Any]) -> Jet:
    """Return the jet of an equation.

    Args:
        equation: an object with `residual(d, u, **fields)`, or that function itself.
        dims: axes of the grid.
        fields: what the residual takes by name. Numbers are passed on; of all others it gets a
            token that it reads through d. A `source` that the residual does not take is
            subtracted from it.

    Raises:
        ValueError: the residual does not take a field, misses one, or uses its unknown directly.
    """
    residual = getattr(equation, "residual", equation)
    taken = signature(residual).parameters
    fields = dict(fields)
    if "source" in fields and "source" not in taken:
        if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            residual = _minus_source(residual, dims)
    elif "source" in taken and taken["source"].default is taken["source"].empty:
        fields.setdefault("source", 0.0)
    arguments: dict[str, Any] = {
        name: value if isinstance(value, int | float) else Token(name)
        for name, value in fields.items()
    }
    arguments["_unknown"] = Token("u")
    orders, known_orders = _traced(residual, arguments, dims)
    return Jet(residual, arguments, orders, known_orders)


def _minus_source(residual: Callable[..., Tensor], dims: int) -> Callable[..., Tensor]:
    def with_source(d: Any, u: Any, *, source: Any, **fields: Any) -> Tensor:
        return residual(d, u, **fields) - d(source, (0,) * dims)

    return with_source


def _traced(
    residual: Callable[..., Tensor], arguments: Mapping[str, Any], dims: int
) -> tuple[tuple[Orders, ...], tuple[tuple[str, Orders], ...]]:
    read: dict[Orders, None] = {}
    read_known: dict[tuple[str, Orders], None] = {}
    # Neither zero nor one, so that no quotient or logarithm of a residual meets a pole.
    anything = torch.full((), 0.37, dtype=torch.float64)

    def d(field: Any, orders: Orders) -> Tensor:
        orders = tuple(orders)
        if len(orders) != dims:
            raise ValueError(
                f"the residual asks for orders {orders} on a grid of {dims} axes, expected "
                f"{dims} orders, one an axis (time first): pass the grid that the equation wants"
            )
        if field is arguments["_unknown"]:
            read[orders] = None
        elif isinstance(field, Token):
            read_known[field.name, orders] = None
        else:
            return _derivative_of_number(field, orders, anything)
        return anything

    try:
        _called(residual, d, arguments)
    except TypeError as error:
        raise ValueError(
            f"the residual cannot be evaluated with the fields {sorted(arguments)[1:]}: {error}; "
            "it reads its unknown and its fields only as d(u, orders), and takes the latter by name"
        ) from error
    if not read:
        raise ValueError("the residual reads no derivative of its unknown, expected d(u, orders)")
    return tuple(sorted(read, reverse=True)), tuple(sorted(read_known))


def _called(residual: Callable[..., Tensor], d: Any, arguments: Mapping[str, Any]) -> Tensor:
    fields = {name: value for name, value in arguments.items() if name != "_unknown"}
    return residual(d, arguments["_unknown"], **fields)


def _derivative_of_number(field: Any, orders: Orders, like: Tensor) -> Tensor:
    if isinstance(field, Tensor) and field.ndim:
        raise ValueError(
            f"the residual differentiates a tensor of shape {tuple(field.shape)} that it computed, "
            "expected its unknown or a field that it was given: expand the derivative by hand"
        )
    return torch.as_tensor(0.0 if any(orders) else field, dtype=like.dtype, device=like.device)
