"""Linear advection on a periodic box: u_t + c · grad u = 0, solved exactly by a shift."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from ..ops import fourier
from ..ops.random_fields import gaussian_fields
from ..ops.recording import defect
from ..solution import Solution

# d(field, orders): any differentiation rule; orders are those of time and of each axis.
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]

# Relative: rounding of stored float32 values, and what leaves the points of a moving grid function.
_DRIFT = 1e-5


@dataclass(frozen=True)
class Advection:
    """Concentration u carried by a constant velocity c on a periodic box.

        u_t + Σ_j c_j ∂u/∂x_j = 0,      so u(x, t) = initial(x - c t)

    Random initial fields: N(0, scale² (-Δ + tau²)^-alpha).

    Args:
        velocity: c, length/time, one number an axis.
        times: when u is recorded, increasing; 0 records the initial field too.
        scale, tau, alpha: amplitude, inverse correlation length (1/length) and smoothness.
        modes: basis functions per axis, whatever the grid, so that one seed is one field on all.

    Fails when: the initial field jumps. It is shifted as the trigonometric polynomial through
    its points, which overshoots beside a jump.
    """

    velocity: Sequence[float] = (1.0,)
    times: Sequence[float] = (1.0,)
    scale: float = 25.0
    tau: float = 5.0
    alpha: float = 2.0
    modes: int = 64

    inputs: ClassVar[tuple[str, ...]] = ("initial",)
    outputs: ClassVar[tuple[str, ...]] = ("solution",)
    units: ClassVar[dict[str, str]] = {"initial": "1", "solution": "1"}

    def __post_init__(self):
        object.__setattr__(self, "velocity", tuple(self.velocity))
        object.__setattr__(self, "times", tuple(self.times))

    @property
    def linear_part(self) -> dict[tuple[int, ...], float]:
        """The operator on u as {derivative orders: coefficient}, time first."""
        dims = len(self.velocity)
        unit = [tuple(int(i == j) for i in range(dims + 1)) for j in range(dims + 1)]
        return dict(zip(unit, (1.0, *self.velocity), strict=True))

    @property
    def linear(self) -> dict[tuple[int, ...], float]:
        """The linear part of u_t as {orders of space: coefficient}, which is all of it."""
        dims = len(self.velocity)
        return {tuple(int(i == j) for i in range(dims)): -c for j, c in enumerate(self.velocity)}

    def substeps(self, state: Float[Tensor, "b *grid"], dt: float, *, grid: Grid) -> int:
        """Return 1: `step` is exact."""
        del state, dt, grid
        return 1

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b *grid"]]:
        """Return {"initial": u_0}, one for each generator, the same on every grid, float64."""
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, scale=self.scale, modes=self.modes
        )
        return {"initial": field}

    def residual(self, d: Derivative, solution) -> Tensor:
        """Return u_t + c · grad u on a space-time grid, orders (time, x, ...)."""
        terms = [c * d(solution, orders) for orders, c in self.linear_part.items()]
        return sum(terms[1:], terms[0])

    def step(
        self, state: Float[Tensor, "b *grid"], dt: float, substeps: int = 1, *, grid: Grid
    ) -> Float[Tensor, "b *grid"]:
        """Return u after the time dt: the trigonometric polynomial through u, shifted by c dt.

        Exact for every dt, whatever the substeps, but for the Nyquist mode of an even axis: a
        cosine there, it keeps the part of its shifted wave that the points can see. Differentiable.

        Raises:
            ValueError: the grid is not periodic on every axis, or the state does not lie on it.
        """
        del substeps
        self._check(state, grid)
        for axis, (c, length) in enumerate(zip(self.velocity, grid.lengths, strict=True)):
            n = state.shape[axis + 1]
            (kappa,) = fourier.wavenumbers((n,), (length,), dtype=state.dtype, device=state.device)
            phase = torch.polar(torch.ones_like(kappa), -kappa * c * dt)
            if n % 2 == 0:
                phase.imag[-1] = 0
            phase = phase.reshape(-1, *(1,) * (grid.dims - axis - 1))
            state = torch.fft.irfft(phase * torch.fft.rfft(state, dim=axis + 1), n=n, dim=axis + 1)
        return state

    @torch.no_grad()
    def solve(
        self, *, initial: Float[Tensor, "b *grid"], grid: Grid, raise_on_failure: bool = True
    ) -> Solution:
        """Return u at the recorded times, exact for band-limited fields; no gradient flows.

        Args:
            initial: u at time 0. The result has its dtype; the shift is done in float64.
            grid: one periodic axis for each component of the velocity.
            raise_on_failure: False returns a result that is not finite instead of an error.

        Returns:
            Solution with value (b, 1, t, *grid), stats residual and iterations (both zero).

        Raises:
            ValueError: as `step`.
            ConvergenceError: the initial field is not finite.
        """
        self._check(initial, grid)
        start = initial.double()
        value = torch.stack([self.step(start, time, grid=grid) for time in self.times], 1)
        finite = torch.isfinite(value).flatten(1).all(1)
        return Solution(
            value=value[:, None].to(initial.dtype),
            grid=grid,
            converged=finite,
            stats={"residual": torch.zeros_like(finite).double(), "iterations": 0 * finite.long()},
            message="converged" if bool(finite.all()) else "the initial field is not finite",
        ).checked(raise_on_failure=raise_on_failure)

    @torch.no_grad()
    def relative_residual(
        self,
        solution: Float[Tensor, "b t *grid"],
        *,
        initial: Float[Tensor, "b *grid"],
        grid: Grid,
    ) -> Float[Tensor, " b"]:
        """Return how far recorded fields are from shifts of each other, see `recording.defect`."""
        return defect(
            lambda u, duration: self.step(u, duration, grid=grid),
            solution.double(), initial.double(), self.times,
        )  # fmt: skip

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "initial" (b, *grid) and "solution" (b, t, *grid), or (b, *grid) where one
                time is recorded; nothing is checked unless both are there.
        """
        del grid
        if not {"initial", "solution"} <= fields.keys():
            return []
        start = fields["initial"].double().flatten(1)
        u = fields["solution"].double().reshape(len(start), -1, start.shape[1])
        size = start.abs().amax(1)
        mass = (u.mean(2) - start.mean(1, keepdim=True)).abs().amax(1)
        return [("mass", ~(mass <= _DRIFT * size), "the mean of u changes in time")]

    def exact(self, grid: Grid, times: Sequence[float] | None = None) -> Float[Tensor, "1 t *grid"]:
        """Return one solution by formula at the given or the recorded times, float64.

        u = Π_j exp(sin(2πX_j + j)),   X_j = (x_j - c_j t) / L_j
        """
        coordinates = grid.coordinates()
        frames = []
        for time in self.times if times is None else times:
            u = torch.ones_like(coordinates[0])
            for j, (c, length) in enumerate(zip(self.velocity, grid.lengths, strict=True)):
                u = u * torch.exp(torch.sin(2 * math.pi * (coordinates[j] - c * time) / length + j))
            frames.append(u)
        return torch.stack(frames)[None]

    def _check(self, state: Tensor, grid: Grid) -> None:
        if grid.dims != len(self.velocity) or not all(grid.periodic):
            raise ValueError(
                f"grid has {grid.dims} axes with periodic {grid.periodic}, expected "
                f"{len(self.velocity)} periodic axes, one for each component of the velocity"
            )
        if tuple(state.shape[1:]) != grid.shape:
            raise ValueError(
                f"state has shape {tuple(state.shape)}, expected (b, *grid) with grid {grid.shape}"
            )
