"""The posterior of a problem in weight space: mean, covariance, evidence.

    y = A c + e,    e ~ N(0, diag(σ²)),    c ~ N(0, diag(s²))

Rows of A are the equation at the nodes, the boundary conditions, and sensors. Everything comes
from one QR factorisation of the rows stacked on diag(1/s), so no condition number is squared.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

_ROUNDS = 25
# Scales below this share of the largest are zero for every purpose.
_LEAST_SCALE = 1e-12


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian over the coefficients of some functions.

    Args:
        basis: functions of x, basis(x, order) -> (n, m); of several axes `ProductBasis`.
        mean: of the coefficients (m,).
        triangle: R (m, m) with covariance R⁻¹ R⁻ᵀ.
        log_evidence: ln p(y), up to a constant that is the same for the same rows.
        misfit: ‖(y - A mean) / σ‖² over the rows.
    """

    basis: Callable[..., Tensor]
    mean: Float[Tensor, " m"]
    triangle: Float[Tensor, "m m"]
    log_evidence: float
    misfit: float

    def value(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, " n"]:
        """Return the posterior mean of u or a derivative."""
        return self.basis(x, order) @ self.mean

    def std(self, x: Float[Tensor, " n"], order: int = 0) -> Float[Tensor, " n"]:
        """Return the posterior standard deviation of u or a derivative."""
        rows = self.basis(x, order)
        return torch.linalg.solve_triangular(self.triangle.T, rows.T, upper=False).norm(dim=0)

    def samples(
        self, x: Float[Tensor, " n"], count: int, generator: torch.Generator, order: int = 0
    ) -> Float[Tensor, "count n"]:
        """Return draws of u or a derivative."""
        shape = (len(self.mean), count)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64).to(self.mean)
        draws = torch.linalg.solve_triangular(self.triangle, noise, upper=True)
        return (self.basis(x, order) @ (self.mean[:, None] + draws)).T

    @property
    def variances(self) -> Float[Tensor, " m"]:
        """Posterior variances of the coefficients."""
        identity = torch.eye(len(self.mean)).to(self.mean)
        inverse = torch.linalg.solve_triangular(self.triangle, identity, upper=True)
        return inverse.square().sum(1)


@dataclass(frozen=True)
class Unreached:
    """Data that no coefficient has a part in, so that they are noise alone.

    Args:
        count: how many.
        size: their norm.
        noise: σ of each.
    """

    count: int = 0
    size: float = 0.0
    noise: float = 1.0

    @property
    def misfit(self) -> float:
        """‖y / σ‖²."""
        return (self.size / self.noise) ** 2


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear observations of the coefficients.

    Args:
        matrix: A (n, m).
        data: y (n,).
        noise: σ (n,), > 0.
        unreached: further ones, whose rows are zero.
    """

    matrix: Float[Tensor, "n m"]
    data: Float[Tensor, " n"]
    noise: Float[Tensor, " n"]
    unreached: Unreached = Unreached()

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """Return all rows of several, of which one may have unreached data."""
        return cls(
            torch.cat([part.matrix for part in parts]),
            torch.cat([part.data for part in parts]),
            torch.cat([part.noise for part in parts]),
            next((part.unreached for part in parts if part.unreached.count), Unreached()),
        )

    def of_noise(self, noise: float) -> "Rows":
        """Return the same rows with another standard deviation for all."""
        unreached = replace(self.unreached, noise=noise)
        return replace(self, noise=torch.full_like(self.noise, noise), unreached=unreached)

    def reduced(self) -> "Rows":
        """Return no more rows than coefficients that say the same, but for the evidence."""
        whole = torch.cat([self.matrix, self.data[:, None]], 1) / self.noise[:, None]
        triangle = torch.linalg.qr(whole, mode="r")[1][: self.matrix.shape[1]]
        return Rows(triangle[:, :-1], triangle[:, -1], torch.ones_like(triangle[:, -1]))

    def posterior(self, basis: Callable[..., Tensor], scale: Tensor) -> Posterior:
        """Return the posterior for prior standard deviations `scale` (m,)."""
        stacked = torch.cat([self.matrix / self.noise[:, None], torch.diag(1 / scale)])
        target = torch.cat([self.data / self.noise, torch.zeros_like(scale)])
        # The rows weigh very differently: the last column of the triangle is Qᵀ y.
        triangle = torch.linalg.qr(torch.cat([stacked, target[:, None]], 1), mode="r")[1]
        upper, rotated, rest = triangle[:-1, :-1], triangle[:-1, -1], float(triangle[-1, -1])
        mean = torch.linalg.solve_triangular(upper, rotated[:, None], upper=True)[:, 0]
        log_size = float(upper.diagonal().abs().log().sum() + scale.log().sum())
        others = self.unreached
        log_noise = float(self.noise.log().sum()) + others.count * math.log(others.noise)
        misfit = float(((self.data - self.matrix @ mean) / self.noise).square().sum())
        evidence = -log_size - log_noise - (rest**2 + others.misfit) / 2
        return Posterior(basis, mean, upper, evidence, misfit + others.misfit)


@dataclass(frozen=True, eq=False)
class Learned:
    """A posterior with scales and noise by evidence.

    Args:
        posterior: for them.
        scales: prior standard deviation of each group of coefficients.
        noise: factor by which the given noise of the noisy rows was multiplied.
    """

    posterior: Posterior
    scales: tuple[float, ...]
    noise: float


def learned(
    rows: Rows,
    basis: Callable[..., Tensor],
    groups: Int[Tensor, " m"],
    start: Sequence[float],
    *,
    free: Sequence[int] = (),
    noisy: int = 0,
    rounds: int = _ROUNDS,
) -> Learned:
    """Return the posterior whose scales maximise the evidence, by MacKay's fixed point.

        s_g² <- ‖mean_g‖² / γ_g,      γ_g = m_g - Σ variances_g / s_g²

    Args:
        rows: observations.
        basis: functions of the coefficients.
        groups: number of the group of each coefficient.
        start: scale of each group to begin with.
        free: groups whose scale is kept.
        noisy: the first so many rows, and the unreached ones, have one unknown noise level; 0
            keeps all as given.
        rounds: at most so many steps.

    Source: MacKay 1992, Neural Computation 4, 415.
    """
    scales, factor = list(start), 1.0
    least = _LEAST_SCALE * max((s for g, s in enumerate(start) if g not in free), default=1.0)
    result = rows.posterior(basis, rows.matrix.new_tensor(scales)[groups])
    for _ in range(rounds):
        variances, determined, before = result.variances, 0.0, list(scales)
        for g in range(len(scales)):
            own = groups == g
            gamma = float(own.sum()) - float(variances[own].sum()) / scales[g] ** 2
            determined += gamma
            if g not in free:
                size = float(result.mean[own].square().sum()) / max(gamma, 1e-3)
                scales[g] = max(math.sqrt(size), least)
        if noisy:
            misfit = (rows.data - rows.matrix @ result.mean)[:noisy] / rows.noise[:noisy]
            others = rows.unreached
            # Exact rows determine coefficients too, which the noisy ones are then free of.
            spare = len(rows.data) + others.count - determined
            total = float(misfit.square().sum()) + others.misfit
            change = math.sqrt(total / max(spare, 1.0))
            noise = rows.noise.clone()
            noise[:noisy] *= change
            others = replace(others, noise=change * others.noise)
            rows, factor = replace(rows, noise=noise, unreached=others), factor * change
        result = rows.posterior(basis, rows.matrix.new_tensor(scales)[groups])
        if all(abs(math.log(a / b)) < 1e-2 for a, b in zip(scales, before, strict=True)):
            break
    return Learned(result, tuple(scales), factor)
