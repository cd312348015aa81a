"""Darcy flow through a medium with jumps: -div(a grad u) = f, u = 0 on the walls."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from ..grid import Grid
from ..ops.conjugate_gradient import solve_refined
from ..ops.geometry import SHAPES, Shape, inside
from ..ops.harmonic_flux import WALLS, conductances, outflow
from ..ops.random_fields import gaussian_fields, plane_deviation
from ..ops.random_media import trigonometric_medium
from ..ops.sine_transform import inverse_laplacian
from ..solution import Solution

# d(field, orders): any differentiation rule, for instance Fourier, finite differences or a GP.
Derivative = Callable[[Tensor, tuple[int, int]], Tensor]

_LAWS = ("two_phase", "lognormal", "multiscale")
# Rounding of stored float32 values may pass the maximum principle by this little.
_NEGATIVE = -1e-6


@dataclass(frozen=True)
class Darcy:
    """Pressure u of a flow through a medium of permeability a, on a box with walls at u = 0.

        -div(a grad u) = f  inside,      u = 0  on the boundary

    Random media, where g ~ N(0, (-Δ + tau²)^-alpha) has zero normal derivative at the walls:

        "two_phase"    a = high where g >= 0 and low elsewhere
        "lognormal"    a = exp(g / s), s the deviation of g far from walls (alpha > 1)
        "multiscale"   a = Π_{i=1..6} (1 + cos(a_i π (X + Y)) / 2) (1 + sin(a_i π (Y - 3X)) / 2),
                       a_i uniform in 2^(i-1) [1, 1.5],  X = x/L_x, Y = y/L_y

    With `shapes`, every sample lies in one of those regions of the box (`ops.geometry`), told by
    the input "mask", and u = 0 outside. Only f / a matters for u. `solve` takes any positive
    coefficient and any mask.

    Args:
        low, high: permeability of the two phases, > 0. Their ratio r costs about √r iterations.
        tau: inverse correlation length of g, 1/length.
        alpha: smoothness of g; above 2 the interfaces are smooth curves.
        constant_mode: keep the mean of g; without it both phases fill about half of every sample.
        modes: cosines per axis of g, whatever the grid, so that one seed is one medium on all.
            With fewer than the grid has points, interfaces are smooth at the finest scales.
        source: f where no field is given.
        law: of the random medium.
        shapes: regions to draw from; none is the whole box without a mask.

    Fails when: the ratio of phases passes about 1e4 (hundreds of iterations).
    """

    low: float = 3.0
    high: float = 12.0
    tau: float = 3.0
    alpha: float = 2.0
    constant_mode: bool = False
    modes: int = 256
    source: float = 1.0
    law: Literal["two_phase", "lognormal", "multiscale"] = "two_phase"
    shapes: Sequence[Shape] = ()

    outputs: ClassVar[tuple[str, ...]] = ("solution",)
    boundary_value: ClassVar[float] = 0.0
    units: ClassVar[dict[str, str]] = {"coefficient": "1", "mask": "1", "solution": "1"}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input fields."""
        return ("coefficient", "mask") if self.shapes else ("coefficient",)

    def __post_init__(self):
        object.__setattr__(self, "shapes", tuple(self.shapes))
        if not set(self.shapes) <= set(SHAPES):
            raise ValueError(f"shapes is {self.shapes}, expected some of {SHAPES}")
        if self.law not in _LAWS:
            raise ValueError(f"law is {self.law!r}, expected one of {_LAWS}")
        for name in ("low", "high"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a permeability > 0")

    @classmethod
    def fno(cls) -> "Darcy":
        """Return the law of the Fourier neural operator's data: 12 and 3, tau 3, alpha 2.

        The published generator drops the constant mode, and so does this one. It also spreads
        the jumps by cubic splines to values from -0.7 to 17; this one does not.

        Source: Li et al. 2020, arXiv:2010.08895, appendix on data generation, and its code.
        """
        return cls()

    @classmethod
    def neuraloperator(cls) -> "Darcy":
        """Return the law of the Darcy files that neuraloperator ships: 0.36 and 0.02.

        Decoded from the files: the phases follow from the Laplacian of the stored solutions
        (-Δu = 25/9 and 50), tau and alpha from a fit of the sign correlations.

        Source: Zenodo record 12784353 (darcy_train_16.pt and its siblings).
        """
        return cls(low=0.02, high=0.36, tau=10.0, alpha=3.0)

    @classmethod
    def rough(cls) -> "Darcy":
        """Return the law of MgNO's rough Darcy set: 12 and 2, tau 5, alpha 2.

        Constants as third parties report them; the paper's files give 512 x 512 values.

        Source: He et al. 2024, arXiv:2310.19809.
        """
        return cls(low=2.0, tau=5.0)

    @classmethod
    def multiscale(cls) -> "Darcy":
        """Return the trigonometric coefficients of the multiscale Darcy set, 1023 x 1023 nodes.

        Source: Liu, Xu and Zhang 2022, arXiv:2210.10890.
        """
        return cls(law="multiscale")

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b n m"]]:
        """Return {"coefficient": a}, one medium for each generator, float64; with shapes "mask".

        A generator gives the same medium on every grid of the same box: its points see the phase
        that is there, without averaging. The mask is 1 inside and 0 outside.
        """
        if self.law == "multiscale":
            fields = {
                "coefficient": torch.stack([trigonometric_medium(grid, g) for g in generators])
            }
        else:
            fields = {"coefficient": self._gaussian_medium(grid, generators)}
        if self.shapes:
            drawn = [
                int(torch.randint(len(self.shapes), (), generator=g, device=g.device))
                for g in generators
            ]
            masks = torch.stack([inside(self.shapes[i], grid) for i in drawn])
            fields["mask"] = masks.to(fields["coefficient"])
        return fields

    def _gaussian_medium(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b n m"]:
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, modes=self.modes,
            constant_mode=self.constant_mode,
        )  # fmt: skip
        if self.law == "lognormal":
            return torch.exp(field / plane_deviation(alpha=self.alpha, tau=self.tau))
        return torch.where(field >= 0, self.high, torch.full_like(field, self.low))

    def residual(self, d: Derivative, solution, *, coefficient, source=None) -> Tensor:
        """Return -a Δu - grad a · grad u - f at every point, for a differentiable coefficient.

        Reads u and a only through the derivative d(field, orders), so Fourier, finite
        differences or a Gaussian process may stand behind it. Where a jumps, grad a is no
        function and this form is wrong: use `relative_residual` there, which balances fluxes.
        """
        u, a = solution, coefficient
        diffusion = d(a, (0, 0)) * (d(u, (2, 0)) + d(u, (0, 2)))
        drift = d(a, (1, 0)) * d(u, (1, 0)) + d(a, (0, 1)) * d(u, (0, 1))
        return -(diffusion + drift) - (self.source if source is None else source)

    @torch.no_grad()
    def solve(
        self,
        *,
        coefficient: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "#b n m"] | None = None,
        mask: Float[Tensor, "b n m"] | None = None,
        tolerance: float = 1e-8,
        max_iterations: int = 4000,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return u by harmonic finite volumes and conjugate gradients; no gradient flows through.

        Unknowns are the cells, or the interior nodes (the result holds zeros on the walls). The
        flux between two neighbours is the harmonic mean 2ab/(a+b) of their permeabilities times
        the difference of u, exact for a jump halfway; a cell is half a spacing from its wall. The
        preconditioner is the same scheme for a = 1, inverted by sine transforms, so the number of
        iterations depends on the ratio of permeabilities (20 for 4, 42 for 18), not on the grid.
        Scaling the system by √a would halve it for smooth media and ruin it across jumps, so it
        is not done. Iterations run in float32 on float64 residuals.

        Args:
            coefficient: permeability, > 0. The result has its dtype.
            grid: two axes with walls; cells, or nodes with both ends stored. Sizes with small
                prime factors are faster beyond 128 points, see `ops.sine_transform`.
            source: f, by default the constant of the class.
            mask: 1 inside and 0 outside, where u = 0. Between an inner and an outer point stands a
                wall: halfway on cells, at the outer node on nodes, in the inner medium. Curved
                edges become stairs, an error of first order; iterations grow with the grid.
            tolerance: of the relative residual ||f - A u||_2 / ||f||_2. A tolerance of 1e-6 has
                left relative errors of u below 1e-8.
            max_iterations: for each sample.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, n, m) and stats residual and iterations, each (b,).

        Raises:
            ValueError: the grid is none of those, shapes differ, a value is not finite or a
                permeability not > 0.
            ConvergenceError: a sample did not reach the tolerance.

        Source: Concus and Golub 1973, doi:10.1137/0710092 (fast direct preconditioners).
        """
        _check_grid(grid)
        _check_field("coefficient", coefficient, grid)
        if not bool((coefficient > 0).all()):
            raise ValueError(
                f"coefficient has the value {float(coefficient.min()):.3g}, expected a "
                "permeability > 0 everywhere: fill voids with a small positive one"
            )
        region = _region(mask, coefficient, grid)
        faces = conductances(coefficient.double(), grid, region)
        within = None if region is None else _unknowns(region, grid)
        rhs = _restricted(_unknowns(self._source_field(source, coefficient, grid), grid), within)

        def system(dtype: torch.dtype):
            rounded = (faces[0].to(dtype), faces[1].to(dtype))
            kept = None if within is None else within.to(dtype)
            poisson = inverse_laplacian(
                rhs.shape[1:], grid.spacing, grid.placement, dtype=dtype, device=rhs.device
            )
            # Corrections of the whole box, cut to the region: symmetric, and zero outside.
            return (
                lambda u: _restricted(outflow(pad(u, WALLS), rounded), kept),
                lambda r: _restricted(poisson(r), kept),
            )

        u, residual, iterations = solve_refined(
            system, rhs, tolerance=tolerance, max_iterations=max_iterations
        )
        if grid.placement == "node":
            u = pad(u, WALLS)
        converged = residual <= tolerance
        reached = f"relative residual {float(residual.max()):.1e} where {tolerance:.1e} was asked"
        return Solution(
            value=u[:, None].to(coefficient.dtype),
            grid=grid,
            converged=converged,
            stats={"residual": residual, "iterations": iterations},
            message="converged"
            if bool(converged.all())
            else f"{reached}: allow more than {max_iterations} iterations or a larger tolerance",
        ).checked(raise_on_failure=raise_on_failure)

    def flux_residual(
        self,
        solution: Float[Tensor, "b n m"],
        *,
        coefficient: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "#b n m"] | None = None,
        mask: Float[Tensor, "b n m"] | None = None,
    ) -> Float[Tensor, "b n m"]:
        """Return the imbalance of fluxes -div_h(a grad_h u) - f, right across jumps.

        The scheme of `solve`. On the wall nodes and outside the mask, where u should be zero, it is
        a u (1/h_x² + 1/h_y²): the size of the flux that a wrong value causes. Differentiable.

        Raises:
            ValueError: as in `solve`.
        """
        _check_grid(grid)
        _check_field("solution", solution, grid)
        _check_field("coefficient", coefficient, grid)
        region = _region(mask, solution, grid)
        faces = conductances(coefficient, grid, region)
        f = _restricted(self._source_field(source, solution, grid).to(solution), region)
        known = torch.ones_like(solution) if region is None else region.to(solution)
        if grid.placement == "cell":
            balance = outflow(pad(known * solution, WALLS), faces)
        else:
            known = pad(_unknowns(known, grid), WALLS)
            f = known * f
            balance = pad(outflow(known * solution, faces), WALLS)
        weight = sum(1 / h**2 for h in grid.spacing)
        return known * balance - f + (1 - known) * weight * coefficient * solution

    @torch.no_grad()
    def correction(
        self,
        solution: Float[Tensor, "b n m"],
        *,
        coefficient: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "#b n m"] | None = None,
        mask: Float[Tensor, "b n m"] | None = None,
        tolerance: float = 1e-2,
    ) -> Float[Tensor, "b n m"]:
        """Return e such that u + e solves the scheme of `solve`, up to a share `tolerance`.

        -div_h(a grad_h e) = f + div_h(a grad_h u) by the same iterations, of which a tolerance of
        1e-2 takes about a fourth. Where u should be zero e is -u. Errors as in `solve`.
        """
        imbalance = self.flux_residual(
            solution, coefficient=coefficient, grid=grid, source=source, mask=mask
        )
        region = _region(mask, solution, grid)
        known = torch.ones_like(solution) if region is None else region.to(solution)
        if grid.placement == "node":
            known = pad(_unknowns(known, grid), WALLS)
        found = self.solve(
            coefficient=coefficient, source=-known * imbalance, mask=mask, grid=grid,
            tolerance=tolerance,
        )  # fmt: skip
        return known * found.value[:, 0] - (1 - known) * solution

    def relative_residual(
        self,
        solution: Float[Tensor, "b n m"],
        *,
        coefficient: Float[Tensor, "b n m"],
        grid: Grid,
        source: Float[Tensor, "#b n m"] | None = None,
        mask: Float[Tensor, "b n m"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Return ||flux residual||_2 / ||f||_2 of each sample, in float64.

        Differences of stored float32 values are all that it sees: rounding alone gives about
        1e-7 a u / (h² f), 1e-3 on 421 nodes a side.

        Raises:
            ValueError: as in `solve`, or f is zero everywhere.
        """
        u, a = solution.double(), coefficient.double()
        residual = self.flux_residual(u, coefficient=a, grid=grid, source=source, mask=mask)
        f = _restricted(self._source_field(source, u, grid), _region(mask, u, grid))
        f = _unknowns(f, grid)
        size = torch.linalg.vector_norm(f, dim=(1, 2))
        if not bool((size > 0).all()):
            raise ValueError(
                "source is zero everywhere in a sample, expected a source to measure against: "
                "use flux_residual"
            )
        return torch.linalg.vector_norm(residual, dim=(1, 2)) / size

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence); any grid will do.

        Args:
            fields: by name, each (b, n, m); those that are missing are not checked.
        """
        del grid
        found = []
        if "coefficient" in fields:
            low = fields["coefficient"].flatten(1).amin(1)
            found.append(("positive coefficient", ~(low > 0), "a permeability is not above 0"))
        if "solution" in fields and self.source >= 0:
            low = fields["solution"].flatten(1).amin(1)
            sentence = f"a solution is below {_NEGATIVE:g}, against the maximum principle u >= 0"
            found.append(("maximum principle", ~(low >= _NEGATIVE), sentence))
        if {"solution", "mask"} <= fields.keys():
            outside = (fields["solution"] * (1 - fields["mask"])).flatten(1).abs().amax(1)
            found.append(("mask", ~(outside == 0), "a solution is not 0 outside its mask"))
        return found

    @staticmethod
    def manufactured(grid: Grid) -> dict[str, Float[Tensor, "1 n m"]]:
        """Return coefficient, source and solution of a smooth problem solved by formula, float64.

            u = sin(πX) sin(2πY),   a = 2 + cos(πX) sin(πY),   X = x/L_x, Y = y/L_y
            f = -a Δu - grad a · grad u

        No symmetry of the square maps a to itself, so exchanged axes show up.
        """
        kx, ky = (math.pi / length for length in grid.lengths)
        x, y = grid.coordinates()[:, None]
        x, y = kx * x, ky * y
        u = torch.sin(x) * torch.sin(2 * y)
        a = 2 + torch.cos(x) * torch.sin(y)
        drift = -(kx**2) * torch.sin(x) * torch.sin(y) * torch.cos(x) * torch.sin(2 * y)
        drift += 2 * ky**2 * torch.cos(x) * torch.cos(y) * torch.sin(x) * torch.cos(2 * y)
        return {"coefficient": a, "source": a * (kx**2 + 4 * ky**2) * u - drift, "solution": u}

    def _source_field(self, source: Tensor | None, like: Tensor, grid: Grid) -> Tensor:
        if source is None:
            return torch.full_like(like, self.source, dtype=torch.float64)
        _check_field("source", source, grid)
        return source.double().expand_as(like)


def _unknowns(field: Tensor, grid: Grid) -> Tensor:
    return field[:, 1:-1, 1:-1] if grid.placement == "node" else field


def _region(mask: Tensor | None, like: Tensor, grid: Grid) -> Tensor | None:
    if mask is None:
        return None
    _check_field("mask", mask, grid)
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError("mask has a value between, expected 1 inside and 0 outside: round it")
    return mask.to(device=like.device, dtype=torch.float64)


def _restricted(field: Tensor, region: Tensor | None) -> Tensor:
    return field if region is None else region * field


def _check_grid(grid: Grid) -> None:
    if grid.dims != 2 or any(grid.periodic):
        raise ValueError(
            f"grid has {grid.dims} axes with periodic {grid.periodic}, expected two axes with "
            "walls: Grid((n, m), lengths, False, placement)"
        )
    if any(grid.offset):
        raise ValueError(
            f"grid has the offset {grid.offset}, a stored sub-grid without its walls; expected "
            "cells or all nodes: solve on the full grid and keep every stride-th point"
        )
    if grid.placement == "node" and min(grid.shape) < 3:
        raise ValueError(f"grid has {grid.shape} nodes, expected at least one interior node: 3")


def _check_field(name: str, field: Tensor, grid: Grid) -> None:
    if tuple(field.shape[1:]) != grid.shape:
        raise ValueError(
            f"{name} has shape {tuple(field.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
    if not bool(field.isfinite().all()):
        raise ValueError(f"{name} holds NaN or infinity, expected finite values")
