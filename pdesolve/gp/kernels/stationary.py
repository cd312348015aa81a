"""What a kernel of one variable offers, and its sums, products and multiples."""

from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import Kernel
from jaxtyping import Float
from torch import Tensor

from .derivatives import product
from .lines import Lines


class StationaryKernel(Kernel):
    """A kernel k(x - x') of one variable that knows its derivatives.

    It is an ordinary gpytorch kernel: it works in ExactGP, takes priors on its parameters and
    `active_dims`, and `+`, `*` combine it, with its own kind to one that knows its derivatives too.
    Positive parameters are stored as logarithms; a flat prior on these is Jeffreys' prior 1/w.

    Subclasses give `derivs`, `smoothness` and, where they have one, `lines`.
    """

    has_lengthscale = False

    @property
    def is_stationary(self) -> bool:
        """True: the kernel reads x - x' only."""
        return True

    @property
    def smoothness(self) -> float:
        """Highest order of a derivative that exists at z = 0; `math.inf` for smooth kernels."""
        raise NotImplementedError

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Return [k(z), k'(z), ..., k^(order)(z)] at signed distances z, right at z = 0 too.

        Raises:
            ValueError: the order exceeds `smoothness`.
        """
        raise NotImplementedError

    def lines(self, length: float) -> Lines | None:
        """Return cosines that equal the kernel to rounding for |z| <= length; None if none do."""
        return None

    def features(
        self, x: Float[Tensor, " n"], order: int = 0, *, interval: tuple[float, float]
    ) -> Float[Tensor, "n r"]:
        """Return square-root features: ∂^i ∂'^j k(x, x') = Φ^(i)(x) Φ^(j)(x')ᵀ on an interval.

        Args:
            x: positions within the interval.
            order: derivative.
            interval: (a, b), the same for all positions that meet.

        Raises:
            ValueError: the kernel is no sum of finitely many cosines.
        """
        lines = self.lines(interval[1] - interval[0])
        if lines is None:
            raise ValueError(
                f"{type(self).__name__} has no features, expected a kernel of cosines or of "
                "Gaussian decay: take SquaredExponential, GaussianMixture, Comb, Periodic or "
                "Cosine, or solve by covariances"
            )
        return lines.features(x, order, middle=(interval[0] + interval[1]) / 2)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params) -> Tensor:
        """Return k(x1 - x2) as gpytorch asks for it: (..., n, m), or (..., n) with diag."""
        if x1.shape[-1] != 1 or params.get("last_dim_is_batch"):
            raise ValueError(
                f"inputs have {x1.shape[-1]} columns for a kernel of one variable, expected 1: "
                "choose one with active_dims, such as active_dims=(0,)"
            )
        z = (x1 - x2)[..., 0] if diag else x1 - x2.mT
        return self.derivs(z, 0)[0]

    def __add__(self, other: Kernel) -> Kernel:
        """Return the sum; of its own kind on the same variable, one that knows derivatives."""
        if isinstance(other, StationaryKernel) and _dims(self) == _dims(other):
            return Sum(self, other)
        return super().__add__(other)

    def __mul__(self, other: Kernel) -> Kernel:
        """Return the product; of its own kind on the same variable, one that knows derivatives."""
        if isinstance(other, StationaryKernel) and _dims(self) == _dims(other):
            return Product(self, other)
        return super().__mul__(other)

    def register_positive(
        self, name: str, value: Float[Tensor, "..."] | float | Sequence[float]
    ) -> None:
        """Register a positive parameter `raw_NAME` = log value."""
        value = torch.as_tensor(value, dtype=torch.float64)
        if not bool((value > 0).all()):
            raise ValueError(f"{name} is {value.tolist()}, expected positive numbers")
        self.register_parameter(f"raw_{name}", torch.nn.Parameter(value.log()))
        constraint = Positive(transform=torch.exp, inv_transform=torch.log)  # pyright: ignore
        self.register_constraint(f"raw_{name}", constraint)

    def positive(self, name: str) -> Tensor:
        """Return the value of a parameter that `register_positive` made."""
        return getattr(self, f"raw_{name}_constraint").transform(getattr(self, f"raw_{name}"))


class _Composed(StationaryKernel):
    """Several kernels of the same variable."""

    def __init__(self, *kernels: StationaryKernel):
        super().__init__(active_dims=_dims(kernels[0]))
        self._kernels = torch.nn.ModuleList(kernels)

    @property
    def kernels(self) -> list[StationaryKernel]:
        """The kernels composed."""
        return [cast(StationaryKernel, kernel) for kernel in self._kernels]

    @property
    def smoothness(self) -> float:
        """That of the roughest kernel."""
        return min(kernel.smoothness for kernel in self.kernels)

    def _all_lines(self, length: float) -> list[Lines] | None:
        found = [kernel.lines(length) for kernel in self.kernels]
        known = [lines for lines in found if lines is not None]
        return known if len(known) == len(found) else None


class Sum(_Composed):
    """k_1 + k_2 + ..."""

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Sums of the terms' derivatives."""
        terms = [kernel.derivs(z, order) for kernel in self.kernels]
        return [torch.stack(same_order).sum(0) for same_order in zip(*terms, strict=True)]

    def lines(self, length: float) -> Lines | None:
        """The lines of all terms, if all have some."""
        lines = self._all_lines(length)
        return None if lines is None else reduce(Lines.__add__, lines)


class Product(_Composed):
    """k_1 k_2 ... with derivatives by Leibniz."""

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """Leibniz sums of the factors' derivatives."""
        return reduce(product, [kernel.derivs(z, order) for kernel in self.kernels])

    def lines(self, length: float) -> Lines | None:
        """Sums and differences of the factors' frequencies, if all have some."""
        lines = self._all_lines(length)
        return None if lines is None else reduce(Lines.__mul__, lines)


class Scaled(StationaryKernel):
    """variance k.

    Args:
        kernel: k.
        variance: > 0; learned.
    """

    def __init__(self, kernel: StationaryKernel, variance: float = 1.0):
        super().__init__(active_dims=_dims(kernel))
        self._kernel = kernel
        self.register_positive("variance", variance)

    @property
    def kernel(self) -> StationaryKernel:
        """k."""
        return cast(StationaryKernel, self._kernel)

    @property
    def variance(self) -> Tensor:
        """The factor."""
        return self.positive("variance")

    @property
    def smoothness(self) -> float:
        """That of the kernel."""
        return self.kernel.smoothness

    def derivs(self, z: Float[Tensor, "*points"], order: int) -> list[Float[Tensor, "*points"]]:
        """The kernel's derivatives times the variance."""
        return [self.variance * value for value in self.kernel.derivs(z, order)]

    def lines(self, length: float) -> Lines | None:
        """The kernel's lines with their weights times the variance."""
        lines = self.kernel.lines(length)
        if lines is None:
            return None
        return Lines(lines.frequencies, self.variance * lines.weights)


def _dims(kernel: Kernel) -> tuple[int, ...] | None:
    dims = kernel.active_dims
    return None if dims is None else tuple(cast(torch.Tensor, dims).tolist())
