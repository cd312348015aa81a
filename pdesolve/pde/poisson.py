"""Poisson's equation in one, two or three dimensions: -Δu = f, walls at zero or periodic."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from ..grid import Grid
from ..ops import difference, fourier
from ..ops.random_fields import gaussian_fields
from ..ops.sine_transform import inverse_laplacian
from ..solution import Solution

# d(field, orders): any differentiation rule, one order an axis.
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]

# Relative: what rounding of stored float32 values may leave of a quantity that is zero.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Poisson:
    """Potential u of a source f on a box.

        -Δu = f,      u = 0 on the boundary,   or   all axes periodic and both means zero

    The grid says which: no periodic axis or all of them. Random sources are Gaussian,
    f ~ N(0, scale² (-Δ + tau²)^-alpha), without their mean on a periodic box.

    Args:
        dims: 1, 2 or 3.
        scale, tau, alpha: amplitude, inverse correlation length (1/length) and smoothness of f.
        modes: basis functions per axis of f, whatever the grid; memory grows as modes^dims.
    """

    dims: int = 2
    scale: float = 100.0
    tau: float = 10.0
    alpha: float = 2.5
    modes: int = 64

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    outputs: ClassVar[tuple[str, ...]] = ("solution",)
    units: ClassVar[dict[str, str]] = {"source": "1", "solution": "1"}

    def __post_init__(self):
        if self.dims not in (1, 2, 3):
            raise ValueError(f"dims is {self.dims}, expected 1, 2 or 3")

    @property
    def linear_part(self) -> dict[tuple[int, ...], float]:
        """The operator on u as {derivative orders: coefficient}."""
        return {tuple(2 * (i == j) for i in range(self.dims)): -1.0 for j in range(self.dims)}

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b *grid"]]:
        """Return {"source": f}, one for each generator, the same on every grid, float64."""
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, scale=self.scale, modes=self.modes,
            constant_mode=not all(grid.periodic),
        )  # fmt: skip
        return {"source": field}

    def residual(self, d: Derivative, solution, *, source) -> Tensor:
        """Return -Δu - f at every point; reads u and f only through d."""
        zeroth = (0,) * self.dims
        laplacian = sum(c * d(solution, orders) for orders, c in self.linear_part.items())
        return laplacian - d(source, zeroth)

    @torch.no_grad()
    def solve(
        self,
        *,
        source: Float[Tensor, "b *grid"],
        grid: Grid,
        tolerance: float = 1e-8,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return u by a direct transform; no gradient flows through.

        Walls: second-order finite differences on the interior nodes or on cells whose walls lie
        half a cell outside, inverted by sine transforms. Periodic: exact for every mode of the
        grid; the mean of f is ignored, that of u is zero.

        Args:
            source: f. The result has its dtype; the work is in float64.
            grid: `dims` axes, all periodic or all with walls; then cells, or nodes with both ends.
            tolerance: of the relative residual that counts as converged. The solve is direct: only
                rounding is left, about 1e-16 (length / spacing)².
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, *grid) and stats residual and iterations (1), each (b,).

        Raises:
            ValueError: the grid is none of those, or f does not lie on it or is not finite.
            ConvergenceError: rounding alone passes the tolerance.
        """
        self._check(source, grid)
        f = source.double()
        if all(grid.periodic):
            u = -fourier.inverse_laplacian(f, grid.lengths)
        else:
            inside = _unknowns(f, grid)
            shape = inside.shape[1:]
            u = inverse_laplacian(shape, grid.spacing, grid.placement, device=f.device)(inside)
            u = pad(u, _layer(grid)) if grid.placement == "node" else u
        residual = self.relative_residual(u, source=f, grid=grid)
        converged = residual <= tolerance
        return Solution(
            value=u[:, None].to(source.dtype),
            grid=grid,
            converged=converged,
            stats={"residual": residual, "iterations": torch.ones_like(residual).long()},
            message="converged"
            if bool(converged.all())
            else f"rounding leaves a relative residual of {float(residual.max()):.1e}: "
            "use a coarser grid or a larger tolerance",
        ).checked(raise_on_failure=raise_on_failure)

    def correction(
        self, solution: Float[Tensor, "b *grid"], *, source: Float[Tensor, "b *grid"], grid: Grid
    ) -> Float[Tensor, "b *grid"]:
        """Return what is missing from a field to the solution; `solve` is direct, so all of it."""
        return self.solve(source=source, grid=grid).value[:, 0] - solution

    def relative_residual(
        self, solution: Float[Tensor, "b *grid"], *, source: Float[Tensor, "b *grid"], grid: Grid
    ) -> Float[Tensor, " b"]:
        """Return ||-Δ_h u - f||_2 / ||f||_2 of each sample by the rule of `solve`, in float64.

        On a grid of nodes the walls count too: there the residual is u Σ_j 1/h_j². A source that
        is zero gives 0 for a solution that is zero.

        Raises:
            ValueError: as `solve`.
        """
        self._check(solution, grid)
        self._check(source, grid)
        u, f = solution.double(), source.double()
        if all(grid.periodic):
            f = f - f.mean(self._axes, keepdim=True)
            residual = -fourier.laplacian(u, grid.lengths) - f
        else:
            residual = self._wall_residual(u, f, grid)
            f = _unknowns(f, grid)
        size = torch.linalg.vector_norm(residual.flatten(1), dim=1)
        return torch.where(size == 0, size, size / torch.linalg.vector_norm(f.flatten(1), dim=1))

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "source" and "solution", each (b, *grid); those that are missing are not
                checked.
        """
        if "solution" not in fields:
            return []
        u = fields["solution"].double()
        size = u.abs().flatten(1).amax(1)
        found = []
        if all(grid.periodic):
            mean = u.mean(self._axes).abs()
            found.append(("mean", ~(mean <= _ROUNDING * size), "the mean of a solution is not 0"))
        elif grid.placement == "node" and not any(grid.offset):
            inside = pad(_unknowns(u, grid), _layer(grid))
            at_walls = (u - inside).abs().flatten(1).amax(1)
            found.append(
                ("walls", ~(at_walls <= _ROUNDING * size), "a solution is not 0 at a wall")
            )
        if "source" in fields and not all(grid.periodic):
            positive = fields["source"].flatten(1).amin(1) >= 0
            below = ~(u.flatten(1).amin(1) >= -_ROUNDING * size)
            sentence = "a solution is negative though its source is not"
            found.append(("maximum principle", positive & below, sentence))
        return found

    def manufactured(self, grid: Grid) -> dict[str, Float[Tensor, "1 *grid"]]:
        """Return source and solution of a smooth problem solved by formula, float64.

            walls      u = Π_j sin(πX_j) exp(c_j X_j),    c_j = (j + 1) / 2,  X_j = x_j / L_j
            periodic   u = Π_j exp(sin(2πX_j + j)) - I_0(1)^dims

        Neither is symmetric, nor an eigenfunction of any discrete Laplacian.
        """
        factors, second = [], []
        for j, position in enumerate(grid.coordinates()):
            x, length = position / grid.lengths[j], grid.lengths[j]
            if all(grid.periodic):
                phase = 2 * math.pi * x + j
                g = torch.exp(torch.sin(phase))
                bend = (2 * math.pi) ** 2 * (torch.cos(phase) ** 2 - torch.sin(phase)) * g
            else:
                c = (j + 1) / 2
                sine, cosine = torch.sin(math.pi * x), torch.cos(math.pi * x)
                g = sine * torch.exp(c * x)
                bend = ((c**2 - math.pi**2) * sine + 2 * c * math.pi * cosine) * torch.exp(c * x)
            factors.append(g)
            second.append(bend / length**2)
        u = torch.stack(factors).prod(0)
        bent = [
            torch.stack([*factors[:j], second[j], *factors[j + 1 :]]).prod(0)
            for j in range(grid.dims)
        ]
        if all(grid.periodic):
            u = u - float(torch.special.i0(torch.ones(()).double())) ** grid.dims
        return {"source": -torch.stack(bent).sum(0)[None], "solution": u[None]}

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-self.dims, 0))

    def _wall_residual(self, u: Tensor, f: Tensor, grid: Grid) -> Tensor:
        """Return the residual at all nodes, or at all cells."""
        if grid.placement == "cell":
            # The wall value 0 lies halfway between a cell and its mirror image of opposite sign.
            for axis in range(1, grid.dims + 1):
                ends = u.narrow(axis, 0, 1), u.narrow(axis, u.shape[axis] - 1, 1)
                u = torch.cat([-ends[0], u, -ends[1]], axis)
            shape = tuple(n + 2 for n in grid.shape)
            lengths = tuple(h * n for h, n in zip(grid.spacing, shape, strict=True))
            wider = Grid(shape, lengths, False, "cell")
            inside = (slice(None), *(slice(1, -1),) * grid.dims)
            f = pad(f, _layer(grid))
            residual = self.residual(lambda v, o: difference.derivative(v, o, wider), u, source=f)
            return residual[inside]
        residual = self.residual(lambda v, o: difference.derivative(v, o, grid), u, source=f)
        inside = pad(_unknowns(residual, grid), _layer(grid))
        at_walls = u - pad(_unknowns(u, grid), _layer(grid))
        return inside + sum(1 / h**2 for h in grid.spacing) * at_walls

    def _check(self, field: Tensor, grid: Grid) -> None:
        walls = not any(grid.periodic) and not any(grid.offset)
        if grid.dims != self.dims or not (all(grid.periodic) or walls):
            raise ValueError(
                f"grid has {grid.dims} axes with periodic {grid.periodic} and offset "
                f"{grid.offset}, expected {self.dims} axes, all periodic or all with walls"
            )
        if walls and min(grid.shape) < 4:
            raise ValueError(f"grid has {grid.shape} points, expected at least 4 per axis")
        if tuple(field.shape[1:]) != grid.shape:
            raise ValueError(
                f"field has shape {tuple(field.shape)}, expected (b, *grid) with grid {grid.shape}"
            )
        if not bool(torch.isfinite(field).all()):
            raise ValueError("field has a NaN or infinity, expected finite values")


def _layer(grid: Grid) -> tuple[int, ...]:
    """Return the padding by one layer of wall nodes."""
    return (1, 1) * grid.dims


def _unknowns(field: Tensor, grid: Grid) -> Tensor:
    inside = (slice(None), *(slice(1, -1),) * grid.dims)
    return field[inside] if grid.placement == "node" else field
