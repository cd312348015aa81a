"""Complex matrices between channels, one for each Fourier mode, dense or as a product of factors.

Each is called with the parts (real, imaginary), of shape (*k, b, in), of the coefficients of a
field and returns those of the result, (*k, b, out). Arithmetic is real throughout, as compilers,
exporters and half the tools around torch do not know complex tensors. Complex constants come as
pairs (..., 2), the form in which parameters are stored, or as planes with the axis of (real,
imaginary) before the channels, the form in which products of factors come out.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Parts = tuple[Tensor, Tensor]


class Dense(NamedTuple):
    """ŷ(k) = x̂(k) W(k) with W as pairs (*k, in, out, 2)."""

    pairs: Float[Tensor, "..."]

    def __call__(self, parts: Parts) -> Parts:
        rows = torch.stack(parts, -2)
        # One real product of both parts with both parts reads the weights, often the largest
        # tensor here, a single time and as they are stored.
        products = rows.flatten(-3, -2) @ self.pairs.flatten(-2)
        products = products.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        of_real, of_imaginary = products.unbind(-3)
        return (
            of_real[..., 0] - of_imaginary[..., 1],
            of_real[..., 1] + of_imaginary[..., 0],
        )


class Core(NamedTuple):
    """ŷ(k) = x̂(k) W(k) with W as planes (*k, 2, in, out)."""

    planes: Float[Tensor, "..."]

    def __call__(self, parts: Parts) -> Parts:
        real, imaginary = parts
        # Rows [x_r, -x_i] and [x_i, x_r] of each sample meet columns [W_r; W_i].
        rows = torch.cat([real, -imaginary, imaginary, real], -1)
        rows = rows.unflatten(-1, (2, -1)).flatten(-3, -2)
        products = rows @ self.planes.flatten(-3, -2)
        real, imaginary = products.unflatten(-2, (-1, 2)).unbind(-2)
        return real, imaginary

    @property
    def cost(self) -> int:
        """Complex products for each mode of a sample."""
        return self.planes.shape[-2] * self.planes.shape[-1]


class Diagonal(NamedTuple):
    """ŷ(k) = x̂(k) w(k), channel by channel, with w as planes (*k, 2, channels)."""

    planes: Float[Tensor, "..."]

    def __call__(self, parts: Parts) -> Parts:
        real, imaginary = parts
        by_real, by_imaginary = self.planes.unsqueeze(-3).unbind(-2)
        return (
            real * by_real - imaginary * by_imaginary,
            real * by_imaginary + imaginary * by_real,
        )

    @property
    def cost(self) -> int:
        """Complex products for each mode of a sample."""
        return self.planes.shape[-1]


class Factored(NamedTuple):
    """ŷ(k) = x̂(k) left core(k) right, left and right being the same for all modes.

    Args:
        left: real matrix (2 in, 2 r) of `block`.
        core: kernel from r to s channels.
        right: real matrix (2 s, 2 out), or None for the identity.
    """

    left: Float[Tensor, "..."]
    core: Core | Diagonal
    right: Float[Tensor, "..."] | None

    def __call__(self, parts: Parts) -> Parts:
        parts = self.core(_through(self.left, parts))
        return parts if self.right is None else _through(self.right, parts)

    def cheapest(self) -> "Factored | Core":
        """The same map for use again and again: one core if that is less work to apply."""
        (inputs, inner), planes = (n // 2 for n in self.left.shape), self.core.planes
        right = (0, planes.shape[-1]) if self.right is None else self.right.shape
        outputs = right[1] // 2 if self.right is not None else right[1]
        if inputs * inner + self.core.cost + right[0] // 2 * outputs < inputs * outputs:
            return self
        # A matrix is what it makes of the unit vectors.
        modes = planes.shape[: -2 if isinstance(self.core, Diagonal) else -3]
        unit = torch.eye(inputs, dtype=planes.dtype, device=planes.device)
        unit = unit.expand(*modes, inputs, inputs)
        return Core(torch.stack(self((unit, torch.zeros_like(unit))), -3))


def block(pairs: Float[Tensor, "i o 2"]) -> Float[Tensor, "i2 o2"]:
    """Real matrix that maps rows [x_r, x_i] to [y_r, y_i], y = x W, of a complex matrix W.

    >>> block(torch.tensor([[[3.0, 4.0]]]))
    tensor([[ 3.,  4.],
            [-4.,  3.]])
    """
    real, imaginary = pairs.unbind(-1)
    return torch.cat([torch.cat([real, imaginary], 1), torch.cat([-imaginary, real], 1)])


def _through(matrix: Tensor, parts: Parts) -> Parts:
    real, imaginary = (torch.cat(parts, -1) @ matrix).chunk(2, -1)
    return real, imaginary
