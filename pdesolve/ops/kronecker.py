"""Products of one matrix per axis, K = K_1 ⊗ ... ⊗ K_d, applied to fields without forming K.

A field u (..., n_1, ..., n_d) is the vector that K acts on, first axis slowest (`torch.kron` of the
factors in order is the dense matrix). Everything costs O(Π n_j Σ n_j) and is exact up to rounding.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def apply(
    factors: Sequence[Tensor | None], u: Shaped[Tensor, "*axes"]
) -> Shaped[Tensor, "*new_axes"]:
    """Mode products: multiply each of the last d axes of a field by a matrix of its own.

        v[i, j, ...] = Σ_ab... K_1[i, a] K_2[j, b] ... u[a, b, ...]

    Args:
        factors: per axis a matrix (m_j, n_j), real or complex, or None for the identity. Axes
            that shrink most are done first.
        u: (..., n_1, ..., n_d).

    Returns:
        (..., m_1, ..., m_d), contiguous unless every factor is None.

    Raises:
        ValueError: a factor does not fit its axis.

    >>> apply([None, torch.ones(1, 3)], torch.arange(6.0).reshape(2, 3))
    tensor([[ 3.],
            [12.]])
    """
    d = len(factors)
    for j, factor in enumerate(factors):
        if factor is not None and (factor.ndim != 2 or factor.shape[1] != u.shape[j - d]):
            raise ValueError(
                f"factors[{j}] has shape {tuple(factor.shape)}, expected (m, {u.shape[j - d]}) "
                f"for a field of shape {tuple(u.shape)}"
            )
    active = [(j, factor) for j, factor in enumerate(factors) if factor is not None]
    for j, factor in sorted(active, key=lambda pair: pair[1].shape[0] / pair[1].shape[1]):
        u = mode_product(factor, u, j - d)
    return u


def mode_product(
    factor: Shaped[Tensor, "m n"], u: Shaped[Tensor, "*axes"], axis: int
) -> Shaped[Tensor, "*new_axes"]:
    """Multiply one axis, counted from the end (-1 the last), by a matrix (m, n)."""
    before, after = u.shape[: u.ndim + axis], u.shape[u.ndim + axis + 1 :]
    dtype = torch.promote_types(factor.dtype, u.dtype)
    factor, u = factor.to(dtype), u.to(dtype)
    if not after:
        return u @ factor.mT
    rows, columns = math.prod(before), math.prod(after)
    u = u.reshape(rows, factor.shape[1], columns)
    # bmm, not matmul: the latter may fold the batch into the columns by copying the field.
    v = torch.bmm(factor.expand(rows, -1, -1), u)
    return v.reshape(*before, factor.shape[0], *after)


class CholeskyProduct:
    """K = K_1 ⊗ ... ⊗ K_d of symmetric positive definite factors, each factorised once.

        K_j = R_j R_jᵀ,   K = R Rᵀ,   R = R_1 ⊗ ... ⊗ R_d

    Fails when a factor is not positive definite to working precision, as smooth kernels on dense
    grids are not: `RootProduct` takes features instead and does not square their condition.

    Args:
        factors: K_j (n_j, n_j), symmetric.

    Raises:
        torch.linalg.LinAlgError: a factor is not positive definite.
    """

    def __init__(self, factors: Sequence[Float[Tensor, "n n"]]):
        self.factors = tuple(factors)
        self.roots = tuple(torch.linalg.cholesky(factor) for factor in factors)

    def apply(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return K u."""
        return apply(self.factors, u)

    def colour(self, w: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return R w: a sample of N(0, K) for white noise w."""
        return apply(self.roots, w)

    def whiten(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return R⁻¹ u."""
        for j, root in enumerate(self.roots):
            u = _on_axis(u, j - len(self.roots), _lower_solve(root))
        return u

    def solve(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return K⁻¹ u."""
        for j, root in enumerate(self.roots):
            u = _on_axis(u, j - len(self.roots), lambda v, r=root: torch.cholesky_solve(v, r))
        return u

    @cached_property
    def logdet(self) -> Float[Tensor, ""]:
        """log det K = Σ_j (Π_i n_i / n_j) log det K_j."""
        sizes = [root.shape[0] for root in self.roots]
        terms = [
            2 * math.prod(sizes) / n * root.diagonal().log().sum()
            for n, root in zip(sizes, self.roots, strict=True)
        ]
        return torch.stack(terms).sum()

    def quadratic_form(self, u: Float[Tensor, "*axes"]) -> Tensor:
        """Return uᵀ K⁻¹ u, one number for each leading index."""
        return self.whiten(u).square().flatten(-len(self.roots)).sum(-1)


class RootProduct:
    """C = K + noise I with K = K_1 ⊗ ... ⊗ K_d given by square roots, K_j = Φ_j Φ_jᵀ.

        Φ_j = U_j Σ_j V_jᵀ,   C = U (Σ² + noise) Uᵀ + noise (I - U Uᵀ)

    The roots' singular values are never squared before they are added to the noise, so a kernel
    that is singular to working precision is no harder than another.

    Args:
        roots: Φ_j (n_j, r_j): features at the points, scaled by the root of their variance.
        noise: variance of the white part, > 0.

    Raises:
        ValueError: the noise is not positive.
    """

    def __init__(self, roots: Sequence[Float[Tensor, "n r"]], noise: float):
        if not noise > 0:
            raise ValueError(f"noise is {noise}, expected a variance > 0, such as 1e-12")
        self.roots, self.noise = tuple(roots), noise
        decomposed = [torch.linalg.svd(root, full_matrices=False) for root in roots]
        self.left = tuple(u for u, _, _ in decomposed)
        self.singular = _outer([s for _, s, _ in decomposed])
        self.right = tuple(vh.mT for _, _, vh in decomposed)

    def apply(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return C u."""
        inside = apply([left.mT for left in self.left], u)
        return apply(self.left, self.singular.square() * inside) + self.noise * u

    def solve(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Return C⁻¹ u."""
        inside = apply([left.mT for left in self.left], u)
        square = self.singular.square()
        # C⁻¹ = (I - U Σ²/(Σ² + noise) Uᵀ) / noise
        return (u - apply(self.left, square / (square + self.noise) * inside)) / self.noise

    def weights(self, u: Float[Tensor, "*axes"]) -> Float[Tensor, "*ranks"]:
        """Return the posterior mean (ΦᵀΦ + noise)⁻¹ Φᵀ u of the weights c in u = Φ c + noise."""
        inside = apply([left.mT for left in self.left], u)
        return apply(self.right, self.singular / (self.singular.square() + self.noise) * inside)

    @cached_property
    def logdet(self) -> Float[Tensor, ""]:
        """log det C."""
        square = self.singular.square()
        outside = math.prod(root.shape[0] for root in self.roots) - square.numel()
        return (square + self.noise).log().sum() + outside * math.log(self.noise)

    def quadratic_form(self, u: Float[Tensor, "*axes"]) -> Tensor:
        """Return uᵀ C⁻¹ u, one number for each leading index."""
        d = len(self.roots)
        inside = apply([left.mT for left in self.left], u)
        outside = u - apply(self.left, inside)
        within = (inside.square() / (self.singular.square() + self.noise)).flatten(-d).sum(-1)
        return within + outside.square().flatten(-d).sum(-1) / self.noise


def _outer(vectors: Sequence[Tensor]) -> Tensor:
    """Return the products v_1[i] v_2[j] ... as a field."""
    product = vectors[0]
    for vector in vectors[1:]:
        product = product[..., None] * vector
    return product


def _on_axis(u: Tensor, axis: int, function) -> Tensor:
    """Apply a function of column matrices (n, columns) along one axis of a field."""
    moved = u.movedim(axis, 0)
    return function(moved.flatten(1)).reshape(moved.shape).movedim(0, axis)


def _lower_solve(root: Tensor):
    return lambda v: torch.linalg.solve_triangular(root, v, upper=False)
