"""Waves of one frequency in a box of varying speed: Δu + ω² a u = f, u given on the walls."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from ..ops import difference
from ..solution import Solution

# d(field, orders): any differentiation rule.
Derivative = Callable[[Tensor, tuple[int, int]], Tensor]


@dataclass(frozen=True)
class Helmholtz2d:
    """Wave field u at the angular frequency ω, where a is the squared slowness.

        Δu + ω² a u = f  inside,      u = boundary  on the walls

    Random samples are those of the PDEgym set: f = 0, u = b on all walls with one b a sample,
    uniform in `boundary_range`, and a = 1 - Σ_i exp(-|x - x_i|²/2σ_i²) / max Σ with as many bumps
    as a draw from `bumps` says, x_i uniform in the box.

    Args:
        frequency: ω, 1/length where a = 1.
        boundary_range: smallest and largest b.
        bumps: smallest and largest number of bumps.
        widths: smallest and largest σ, relative to the first side of the box. Not published for
            this set; the default is that of its authors' Poisson set.

    Fails when: ω² is close to an eigenvalue of the box (π² (k² + m²) on the unit square if a = 1):
    the solution is then as large as the distance is small, whatever the solver.

    Source: Herde et al. 2024, arXiv:2405.19101, appendix on data. The sign of the equation follows
    from the set's statistics: u has the mean 0.12 and the deviation 0.83, and -Δu + ω² a u = 0
    would keep it between 0 and b <= 0.5.
    """

    frequency: float = 5 * math.pi / 2
    boundary_range: Sequence[float] = (0.25, 0.5)
    bumps: Sequence[int] = (2, 7)
    widths: Sequence[float] = (0.025, 0.1)

    inputs: ClassVar[tuple[str, ...]] = ("coefficient", "boundary")
    outputs: ClassVar[tuple[str, ...]] = ("solution",)
    units: ClassVar[dict[str, str]] = {"coefficient": "1", "boundary": "1", "solution": "1"}

    def __post_init__(self):
        for name in ("boundary_range", "bumps", "widths"):
            value = tuple(getattr(self, name))
            object.__setattr__(self, name, value)
            if len(value) != 2 or value[0] > value[1]:
                raise ValueError(f"{name} is {value}, expected a smallest and a largest number")
        if self.bumps[0] < 1 or self.widths[0] <= 0:
            raise ValueError(
                f"bumps is {self.bumps} and widths {self.widths}, expected at least one bump of "
                "a width > 0"
            )

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b n m"]]:
        """Return {"coefficient": a, "boundary": b as a constant field}, float64.

        One sample for each generator; its bumps are the same on every grid, but a is divided by
        the largest sum that the grid sees.
        """
        drawn = [self._random_sample(grid, generator) for generator in generators]
        coefficient = torch.stack([a for a, _ in drawn])
        boundary = torch.stack([torch.full_like(a, b) for a, b in drawn])
        return {"coefficient": coefficient, "boundary": boundary}

    def residual(self, d: Derivative, solution, *, coefficient, source=None) -> Tensor:
        """Return Δu + ω² a u - f at every point; reads its fields only through d."""
        u = solution
        laplacian = d(u, (2, 0)) + d(u, (0, 2))
        residual = laplacian + self.frequency**2 * d(coefficient, (0, 0)) * d(u, (0, 0))
        return residual if source is None else residual - d(source, (0, 0))

    @torch.no_grad()
    def solve(
        self,
        *,
        coefficient: Float[Tensor, "b n m"],
        boundary: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "b n m"] | None = None,
        tolerance: float = 1e-8,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return u by second-order differences and a sparse direct solve, sample by sample.

        No gradient flows through. About 0.3 s for 128 x 128 nodes on one core, growing as the
        number of nodes to the power 1.5. Give each wave, 2π / (ω √a), 20 nodes or more.

        Args:
            coefficient: a. The result has its dtype; the work is in float64 on the CPU.
            boundary: the values of u on the wall nodes; those inside are not read.
            grid: nodes with both ends stored.
            source: f, by default 0.
            tolerance: of the relative residual that counts as converged.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, n, m) and stats residual and iterations (1), each (b,).

        Raises:
            ValueError: the grid is no such grid, or a field does not lie on it or is not finite.
            ConvergenceError: the system is singular to rounding.
        """
        fields = {"coefficient": coefficient, "boundary": boundary}
        fields |= {} if source is None else {"source": source}
        for name, field in fields.items():
            _check(name, field, grid)
        a, b = coefficient.double().cpu(), boundary.double().cpu()
        f = torch.zeros_like(a) if source is None else source.double().cpu()
        laplacian, to_walls = _laplacian(grid)
        u = b.clone()
        for i in range(len(a)):
            rhs = f[i, 1:-1, 1:-1].numpy().ravel() - to_walls @ b[i].numpy().ravel()
            inside = self.frequency**2 * a[i, 1:-1, 1:-1].numpy().ravel()
            matrix = (laplacian + scipy.sparse.diags(inside)).tocsc()
            # The pattern is symmetric: this ordering fills in about half of the default's.
            found = scipy.sparse.linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A").solve(rhs)
            u[i, 1:-1, 1:-1] = torch.from_numpy(found).reshape(u[i, 1:-1, 1:-1].shape)
        residual = self.relative_residual(u, coefficient=a, boundary=b, grid=grid, source=f)
        converged = residual <= tolerance
        device = coefficient.device
        return Solution(
            value=u[:, None].to(coefficient),
            grid=grid,
            converged=converged.to(device),
            stats={
                "residual": residual.to(device),
                "iterations": torch.ones_like(residual, dtype=torch.int64, device=device),
            },
            message="converged"
            if bool(converged.all())
            else f"the direct solve left a relative residual of {float(residual.max()):.1e}: the "
            "frequency is an eigenvalue of the box",
        ).checked(raise_on_failure=raise_on_failure)

    def correction(
        self,
        solution: Float[Tensor, "b n m"],
        *,
        coefficient: Float[Tensor, "b n m"],
        boundary: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "b n m"] | None = None,
    ) -> Float[Tensor, "b n m"]:
        """Return what is missing from a field to the solution; `solve` is direct, so all of it."""
        found = self.solve(coefficient=coefficient, boundary=boundary, source=source, grid=grid)
        return found.value[:, 0] - solution

    def relative_residual(
        self,
        solution: Float[Tensor, "b n m"],
        *,
        coefficient: Float[Tensor, "b n m"],
        boundary: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "b n m"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Return ||A u - r||_2 / ||r||_2 of each sample, in float64.

        Inside, A u is Δ_h u + ω² a u and r is f; on the walls they are u and the boundary value,
        both times 1/h_x² + 1/h_y².

        Raises:
            ValueError: as in `solve`, or f and the boundary values are zero everywhere.
        """
        _check("solution", solution, grid)
        u, a, b = solution.double(), coefficient.double(), boundary.double()
        f = torch.zeros_like(u) if source is None else source.double()

        def d(field: Tensor, orders: tuple[int, int]) -> Tensor:
            return difference.derivative(field, orders, grid)

        inside = torch.zeros(grid.shape, dtype=torch.bool, device=u.device)
        inside[1:-1, 1:-1] = True
        weight = sum(1 / h**2 for h in grid.spacing)
        difference_ = self.residual(d, u, coefficient=a, source=f)
        residual = torch.where(inside, difference_, weight * (u - b)).flatten(1)
        size = torch.linalg.vector_norm(torch.where(inside, f, weight * b).flatten(1), dim=1)
        if not bool((size > 0).all()):
            raise ValueError(
                "source and boundary are zero everywhere in a sample, expected one of them to "
                "drive the wave"
            )
        return torch.linalg.vector_norm(residual, dim=1) / size

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "solution" and "boundary", each (b, n, m); nothing is checked unless both are
                there and the grid stores its walls.
        """
        if not {"solution", "boundary"} <= fields.keys() or any(grid.offset):
            return []
        gap = (fields["solution"] - fields["boundary"]).double().abs()
        gap[:, 1:-1, 1:-1] = 0
        # Rounding of stored float32 values.
        size = fields["boundary"].double().abs().flatten(1).amax(1)
        off = ~(gap.flatten(1).amax(1) <= 1e-6 * size)
        return [("walls", off, "a solution differs from its boundary values on a wall")]

    def manufactured(self, grid: Grid) -> dict[str, Float[Tensor, "1 n m"]]:
        """Return coefficient, boundary, source and solution of a smooth problem, float64.

        u = sin(2X + 0.4) exp(Y/2),   a = 1 + 0.3 cos(πX) sin(πY),   X = x/L_x, Y = y/L_y
        """
        x, y = (c / length for c, length in zip(grid.coordinates(), grid.lengths, strict=True))
        u = torch.sin(2 * x + 0.4) * torch.exp(y / 2)
        a = 1 + 0.3 * torch.cos(math.pi * x) * torch.sin(math.pi * y)
        laplacian = (0.25 / grid.lengths[1] ** 2 - 4 / grid.lengths[0] ** 2) * u
        f = laplacian + self.frequency**2 * a * u
        fields = {"coefficient": a, "boundary": u, "source": f, "solution": u}
        return {name: field[None] for name, field in fields.items()}

    def _random_sample(self, grid: Grid, generator: torch.Generator) -> tuple[Tensor, float]:
        def uniform(low: float, high: float) -> float:
            drawn = torch.rand(
                (), generator=generator, dtype=torch.float64, device=generator.device
            )
            return low + (high - low) * float(drawn)

        boundary = uniform(*self.boundary_range)
        low, high = self.bumps
        count = min(int(uniform(low, high + 1)), high)
        coordinates = grid.coordinates(device=generator.device)
        total = torch.zeros_like(coordinates[0])
        for _ in range(count):
            width = grid.lengths[0] * uniform(*self.widths)
            squared = torch.zeros_like(total)
            for position, length in zip(coordinates, grid.lengths, strict=True):
                squared = squared + (position - uniform(0.0, length)) ** 2
            total = total + torch.exp(-squared / (2 * width**2))
        return 1 - total / total.max(), boundary


def _laplacian(grid: Grid) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix]:
    """Return Δ_h at the inner nodes, as it acts on the inner nodes and on all wall nodes."""
    second, keep = [], []
    for n, h in zip(grid.shape, grid.spacing, strict=True):
        left, here, right = (scipy.sparse.eye(n - 2, n, k=k) for k in (0, 1, 2))
        second.append((left - 2 * here + right) / h**2)
        keep.append(here)
    whole = scipy.sparse.kron(second[0], keep[1]) + scipy.sparse.kron(keep[0], second[1])
    inner = np.zeros(grid.shape, dtype=bool)
    inner[1:-1, 1:-1] = True
    whole = whole.tocsc()
    walls = scipy.sparse.diags((~inner).ravel().astype(float))
    return whole[:, inner.ravel()].tocsr(), (whole @ walls).tocsr()


def _check(name: str, field: Tensor, grid: Grid) -> None:
    nodes = grid.placement == "node" and not any(grid.periodic) and not any(grid.offset)
    if grid.dims != 2 or not nodes or min(grid.shape) < 4:
        raise ValueError(
            f"grid is {grid}, expected two axes of 4 nodes or more with both walls stored: "
            "Grid((n, m), lengths, False)"
        )
    if tuple(field.shape[1:]) != grid.shape:
        raise ValueError(
            f"{name} has shape {tuple(field.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
    if not bool(torch.isfinite(field).all()):
        raise ValueError(f"{name} has a NaN or infinity, expected finite values")
