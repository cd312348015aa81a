"""The Allen-Cahn equation, periodic: phases u = ±1 that separate and whose borders shrink."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from ..ops import fourier
from ..ops.exponential import exponential_rk4
from ..ops.random_fields import gaussian_fields
from ..ops.recording import recorded_defect, recorded_solution
from ..solution import Solution

# d(field, orders): any differentiation rule; orders are those of the grid that the method names.
Derivative = Callable[[Tensor, tuple[int, ...]], Tensor]

# Relative: rounding, and the overshoot of a front that few points resolve.
_EXCESS = 1e-2


@dataclass(frozen=True)
class AllenCahn:
    """Phase u of a mixture on a periodic box of one to three dimensions.

        u_t = D Δu - r u (u² - 1),      u(0) = initial

    Fronts between the phases are √(2D/r) wide. Random initial fields:
    N(0, scale² (-Δ + tau²)^-alpha).

    Args:
        dims: 1, 2 or 3.
        diffusivity: D, length²/time, > 0.
        reaction: r, 1/time. The evolution wants r > 0; steady problems take either sign.
        times: when u is recorded, increasing; 0 records the initial field too.
        scale, tau, alpha: amplitude, inverse correlation length (1/length) and smoothness.
        modes: basis functions per axis, whatever the grid, so that one seed is one field on all.

    Fails when: a front is narrower than about two spacings; it then sticks to the grid.
    """

    dims: int = 2
    diffusivity: float = 1e-3
    reaction: float = 5.0
    times: Sequence[float] = (1.0,)
    scale: float = 100.0
    tau: float = 10.0
    alpha: float = 2.5
    modes: int = 64

    inputs: ClassVar[tuple[str, ...]] = ("initial",)
    outputs: ClassVar[tuple[str, ...]] = ("phase",)
    units: ClassVar[dict[str, str]] = {"initial": "1", "phase": "1"}

    def __post_init__(self):
        object.__setattr__(self, "times", tuple(self.times))
        if self.dims not in (1, 2, 3):
            raise ValueError(f"dims is {self.dims}, expected 1, 2 or 3")
        if not self.diffusivity > 0:
            raise ValueError(f"diffusivity is {self.diffusivity}, expected a number > 0")

    @classmethod
    def poseidon(cls) -> "AllenCahn":
        """Return the equation and times of the PDEgym set ACE: D = 1, r = 220², 20 frames.

        The front is 0.0064 wide on the unit square: solve on 512 points or more. The initial
        fields are this package's Gaussian ones, not the set's sine series.

        Source: Herde et al. 2024, arXiv:2405.19101, appendix on data.
        """
        times = tuple(2e-4 * i / 19 for i in range(20))
        return cls(diffusivity=1.0, reaction=220.0**2, times=times)

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b *grid"]]:
        """Return {"initial": u_0}, one for each generator, the same on every grid, float64."""
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, scale=self.scale, modes=self.modes
        )
        return {"initial": field}

    def residual(self, d: Derivative, phase) -> Tensor:
        """Return u_t - D Δu + r u (u² - 1) on a space-time grid, orders (time, x, ...)."""
        in_space = self.steady_residual(lambda u, orders: d(u, (0, *orders)), phase)
        return d(phase, (1, *(0,) * self.dims)) + in_space

    def steady_residual(self, d: Derivative, phase, *, source=None) -> Tensor:
        """Return -D Δu + r u (u² - 1) - f on a grid of space alone, orders (x, ...).

        The problem Δu + u (u² - 1) = g of Gaussian process papers is D = 1, r = -1, f = -g.

        Args:
            phase: u.
            source: f; without it a steady state of the evolution has residual zero.
        """
        zeroth = (0,) * self.dims
        u = d(phase, zeroth)
        second = [d(phase, tuple(2 * (i == j) for i in range(self.dims))) for j in range(self.dims)]
        laplacian = sum(second[1:], second[0])
        residual = -self.diffusivity * laplacian + self.reaction * u * (u**2 - 1)
        return residual if source is None else residual - d(source, zeroth)

    def step(
        self, state: Float[Tensor, "b *grid"], dt: float, substeps: int = 1, *, grid: Grid
    ) -> Float[Tensor, "b *grid"]:
        """Return u after the time dt, taken in equal substeps of ETDRK4; differentiable.

        Pseudo-spectral with D Δu + r u exact and all modes kept. Batched; float64 is advised.

        Raises:
            ValueError: the grid is not periodic on every axis, or the state does not lie on it.
        """
        self._check(state, grid)
        axes = tuple(range(-self.dims, 0))
        squared = fourier.squared_wavenumber(
            grid.shape, grid.lengths, dtype=torch.float64, device=state.device
        )
        v = torch.fft.rfftn(state, dim=axes)
        advance = exponential_rk4(
            self.reaction - self.diffusivity * squared, dt / max(substeps, 1), like=v
        )

        def nonlinear(w: Tensor) -> Tensor:
            cubes = torch.fft.irfftn(w, s=grid.shape, dim=axes) ** 3
            return -self.reaction * torch.fft.rfftn(cubes, dim=axes)

        for _ in range(substeps):
            v = advance(v, nonlinear)
        return torch.fft.irfftn(v, s=grid.shape, dim=axes)

    @property
    def linear(self) -> dict[tuple[int, ...], float]:
        """The diffusion of u_t as {orders: coefficient}.

        Growth at rate r is left out: it holds near u = 0 only, and the phases decay at rate 2r.
        """
        second = [tuple(2 * (i == j) for i in range(self.dims)) for j in range(self.dims)]
        return dict.fromkeys(second, self.diffusivity)

    def substeps(self, state: Float[Tensor, "b *grid"], dt: float, *, grid: Grid) -> int:
        """Return how many steps `step` needs: dt / substeps <= 1 / (3 |r| max u²)."""
        del grid
        size = float(state.detach().square().nan_to_num(0.0, 0.0, 0.0).max())
        return max(1, math.ceil(3 * dt * abs(self.reaction) * size))

    @torch.no_grad()
    def solve(
        self,
        *,
        initial: Float[Tensor, "b *grid"],
        grid: Grid,
        tolerance: float = 1e-7,
        max_substeps: int = 2**14,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return the phase at the recorded times; no gradient flows through.

        Steps are halved until the state at the end of each interval changes by at most
        `tolerance` (relative L2), in float64; the error in time is then about a tenth of it.

        Args:
            initial: u at time 0. The result has its dtype.
            grid: `dims` periodic axes.
            tolerance: of the relative change when steps are halved.
            max_substeps: of one interval between recorded times.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, t, *grid), stats residual (that relative change) and
            iterations (steps taken), each (b,).

        Raises:
            ValueError: as `step`.
            ConvergenceError: a sample did not settle within max_substeps.
        """
        self._check(initial, grid)
        return recorded_solution(
            lambda u, duration, count, rows: self.step(u, duration, count, grid=grid),
            initial, self.times, grid=grid, tolerance=tolerance, max_substeps=max_substeps,
            advice="record more often or allow a larger tolerance",
            raise_on_failure=raise_on_failure,
        )  # fmt: skip

    @torch.no_grad()
    def relative_residual(
        self,
        phase: Float[Tensor, "b t *grid"],
        *,
        initial: Float[Tensor, "b *grid"],
        grid: Grid,
        tolerance: float = 1e-6,
    ) -> Float[Tensor, " b"]:
        """Return the defect of recorded phases: their distance from steps between them.

        See `ops.recording.defect`; steps are halved until they change by at most `tolerance`.
        """
        return recorded_defect(
            lambda u, duration, count, rows: self.step(u, duration, count, grid=grid),
            phase, initial, self.times, tolerance=tolerance,
        )  # fmt: skip

    def energy(self, phase: Float[Tensor, "b t *grid"], grid: Grid) -> Float[Tensor, "b t"]:
        """Return the mean of D |grad u|²/2 + r (u² - 1)²/4, which never grows.

        The gradient's part is the sum over Fourier modes.
        """
        axes = tuple(range(-self.dims, 0))
        # Integrated by parts: ∫ |grad u|² = -∫ u Δu, also for the Nyquist mode.
        gradient = -(phase * fourier.laplacian(phase, grid.lengths)).mean(axes)
        well = ((phase**2 - 1) ** 2).mean(axes)
        return self.diffusivity / 2 * gradient + self.reaction / 4 * well

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence), for r > 0.

        Args:
            fields: "initial" (b, *grid) and "phase" (b, t, *grid), or (b, *grid) where one time
                is recorded; nothing is checked unless both are there.
        """
        if not {"initial", "phase"} <= fields.keys() or self.reaction <= 0:
            return []
        start = fields["initial"].double()
        u = fields["phase"].double().reshape(len(start), -1, *start.shape[1:])
        bound = start.abs().flatten(1).amax(1).clamp(min=1)
        excess = u.abs().flatten(1).amax(1) - bound
        energy = self.energy(torch.cat([start[:, None], u], 1), grid)
        growth = energy.diff(dim=1).amax(1)
        return [
            (
                "maximum principle", ~(excess <= _EXCESS * bound),
                "a phase is larger than 1 and than all initial ones",
            ),
            ("energy", ~(growth <= _EXCESS * energy[:, 0]), "the free energy grows"),
        ]  # fmt: skip

    def front(self, grid: Grid, times: Sequence[float]) -> Float[Tensor, "1 t *grid"]:
        """Return a strip u = 1 that grows into u = 0 along axis 0, by formula, float64.

            u = w(|x - L/2| - c t - L/8),   w(ξ) = 1/2 (1 - tanh(ξ √(r/8D))),   c = 3 √(rD/2)

        Each front alone is exact; together they are, up to exp(-√(r/2D) gap), while the gaps on
        both sides of them are many widths √(2D/r) wide. For r > 0.
        """
        length, rate = grid.lengths[0], math.sqrt(self.reaction / (8 * self.diffusivity))
        speed = 3 * math.sqrt(self.reaction * self.diffusivity / 2)
        x = grid.coordinates()[0] - length / 2
        frames = [
            0.25
            * (1 - torch.tanh(rate * (x - speed * t - length / 8)))
            * (1 - torch.tanh(rate * (-x - speed * t - length / 8)))
            for t in times
        ]
        return torch.stack(frames)[None]

    def manufactured(self, grid: Grid) -> dict[str, Float[Tensor, "1 *grid"]]:
        """Return source and phase of a steady problem solved by formula, float64.

        u = Π_j sin((j + 1) 2πx_j/L_j + j),      f = -D Δu + r u (u² - 1)
        """
        u, squared = torch.ones(grid.shape, dtype=torch.float64), 0.0
        for j, x in enumerate(grid.coordinates()):
            kappa = 2 * math.pi * (j + 1) / grid.lengths[j]
            u, squared = u * torch.sin(kappa * x + j), squared + kappa**2
        source = self.diffusivity * squared * u + self.reaction * u * (u**2 - 1)
        return {"source": source[None], "phase": u[None]}

    def _check(self, state: Tensor, grid: Grid) -> None:
        if grid.dims != self.dims or not all(grid.periodic):
            raise ValueError(
                f"grid has {grid.dims} axes with periodic {grid.periodic}, expected {self.dims} "
                "periodic axes"
            )
        if tuple(state.shape[1:]) != grid.shape:
            raise ValueError(
                f"state has shape {tuple(state.shape)}, expected (b, *grid) with grid {grid.shape}"
            )
