"""Viscous Burgers' equation on a circle: u_t + (u²/2)_x = ν u_xx."""

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

# d(field, orders): any differentiation rule; orders are those of time and of x.
Derivative = Callable[[Tensor, tuple[int, int]], Tensor]

# Relative: stored float32 values, and the wiggles of a truncated series, may pass by this little.
_EXCESS = 1e-3


@dataclass(frozen=True)
class Burgers1d:
    """Velocity u of one-dimensional viscous flow on a periodic axis.

        u_t + (u²/2)_x = ν u_xx,      u(0) = initial

    Random initial velocities: u_0 ~ N(0, scale² (-d²/dx² + tau²)^-alpha) with mean zero.

    Args:
        viscosity: ν, length²/time, > 0. A front is about 4ν / jump wide and needs several points.
        times: when the velocity is recorded, increasing; 0 records the initial velocity too.
        scale, tau, alpha: amplitude, inverse correlation length and smoothness of u_0.
        modes: basis functions of u_0, whatever the grid, so that one seed is one u_0 on all.

    The defaults are the first set of the Fourier neural operator, u_0 -> u(1) on (0, 1).

    Fails when: the grid does not resolve the fronts; then no step size settles the result or
    wiggles appear beside the fronts (see `check`).

    Source: Li et al. 2020, arXiv:2010.08895, section 5.1; its generator has no mode k = 0.
    """

    viscosity: float = 0.1
    times: Sequence[float] = (1.0,)
    scale: float = 25.0
    tau: float = 5.0
    alpha: float = 2.0
    modes: int = 1024

    inputs: ClassVar[tuple[str, ...]] = ("initial",)
    outputs: ClassVar[tuple[str, ...]] = ("velocity",)
    units: ClassVar[dict[str, str]] = {"initial": "1", "velocity": "1"}

    def __post_init__(self):
        object.__setattr__(self, "times", tuple(self.times))
        if not self.viscosity > 0:
            raise ValueError(f"viscosity is {self.viscosity}, expected a number > 0")

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b n"]]:
        """Return {"initial": u_0}, one for each generator, the same on every grid, float64."""
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, scale=self.scale, modes=self.modes,
            constant_mode=False,
        )  # fmt: skip
        return {"initial": field}

    def residual(self, d: Derivative, velocity) -> Tensor:
        """Return u_t + u u_x - ν u_xx on a space-time grid, orders (time, x)."""
        u = velocity
        return d(u, (1, 0)) + d(u, (0, 0)) * d(u, (0, 1)) - self.viscosity * d(u, (0, 2))

    def step(
        self, state: Float[Tensor, "b n"], dt: float, substeps: int = 1, *, grid: Grid
    ) -> Float[Tensor, "b n"]:
        """Return u after the time dt, taken in equal substeps of ETDRK4; differentiable.

        Pseudo-spectral in flux form; modes from 2/3 of Nyquist on are dropped (so u² is free of
        aliasing). Batched over samples; float64 is advised.

        Raises:
            ValueError: the grid is not one periodic axis, or the state does not lie on it.
        """
        _check(state, grid)
        n = grid.shape[0]
        (kappa,) = fourier.wavenumbers((n,), grid.lengths, dtype=state.dtype, device=state.device)
        index = torch.arange(n // 2 + 1, device=state.device)
        kept = (3 * index < n).to(state.dtype)
        flux_divergence = -0.5j * kappa * kept

        def nonlinear(v: Tensor) -> Tensor:
            return flux_divergence * torch.fft.rfft(torch.fft.irfft(v, n=n) ** 2)

        v = kept * torch.fft.rfft(state)
        advance = exponential_rk4(-self.viscosity * kappa**2, dt / max(substeps, 1), like=v)
        for _ in range(substeps):
            v = advance(v, nonlinear)
        return torch.fft.irfft(v, n=n)

    @property
    def linear(self) -> dict[tuple[int, ...], float]:
        """The linear part of u_t as {orders of d/dx: coefficient}."""
        return {(2,): self.viscosity}

    def substeps(self, state: Float[Tensor, "*b n"], dt: float, *, grid: Grid) -> int:
        """Return how many steps `step` needs: dt / substeps <= 2.8 / (κ_max max |u|)."""
        largest = 2 * math.pi / 3 / grid.spacing[0]
        speed = float(state.detach().abs().nan_to_num(0.0, 0.0, 0.0).max())
        return max(1, math.ceil(dt * speed * largest / 2.8))

    @torch.no_grad()
    def solve(
        self,
        *,
        initial: Float[Tensor, "b n"],
        grid: Grid,
        tolerance: float = 1e-7,
        max_substeps: int = 2**16,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return the velocity at the recorded times; no gradient flows through.

        Steps are halved until the state at the end of each interval changes by at most
        `tolerance` (relative L2), in float64; the error in time is then about a tenth of it.
        Modes of the initial velocity beyond 2/3 of Nyquist are lost.

        Args:
            initial: velocity at time 0. The result has its dtype.
            grid: one periodic axis.
            tolerance: of the relative change when steps are halved.
            max_substeps: of one interval between recorded times.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, t, n), stats residual (that relative change) and
            iterations (steps taken), each (b,).

        Raises:
            ValueError: as `step`.
            ConvergenceError: a sample did not settle within max_substeps.
        """
        _check(initial, grid)
        return recorded_solution(
            lambda u, duration, count, rows: self.step(u, duration, count, grid=grid),
            initial, self.times, grid=grid, tolerance=tolerance, max_substeps=max_substeps,
            advice="use a finer grid, a larger viscosity or a larger tolerance",
            raise_on_failure=raise_on_failure,
        )  # fmt: skip

    @torch.no_grad()
    def relative_residual(
        self,
        velocity: Float[Tensor, "b t n"],
        *,
        initial: Float[Tensor, "b n"],
        grid: Grid,
        tolerance: float = 1e-6,
    ) -> Float[Tensor, " b"]:
        """Return the defect of recorded velocities: their distance from steps between them.

        See `ops.recording.defect`; steps are halved until they change by at most `tolerance`.
        """
        return recorded_defect(
            lambda u, duration, count, rows: self.step(u, duration, count, grid=grid),
            velocity, initial, self.times, tolerance=tolerance,
        )  # fmt: skip

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "initial" (b, n) and "velocity" (b, t, n), or (b, n) where one time is recorded;
                nothing is checked unless both are there.
        """
        del grid
        if not {"initial", "velocity"} <= fields.keys():
            return []
        start = fields["initial"].double()
        u = fields["velocity"].double().reshape(len(start), -1, start.shape[1])
        size = start.abs().amax(1)
        drift = (u.mean(2) - start.mean(1, keepdim=True)).abs().amax(1)
        excess = u.abs().amax((1, 2)) - size
        return [
            ("momentum", ~(drift <= _EXCESS * size), "the mean velocity changes in time"),
            (
                "maximum principle", ~(excess <= _EXCESS * size),
                "a velocity is larger than all initial ones",
            ),
        ]  # fmt: skip

    def exact(
        self, grid: Grid, times: Sequence[float] | None = None, *, sharpness: float = 0.8
    ) -> Float[Tensor, "1 t n"]:
        """Return one solution by formula (Cole and Hopf) at the given or the recorded times.

            u = -2ν φ_x / φ,   φ = 1 + sharpness exp(-νκ²t) cos(κx),   κ = 2π / L

        Args:
            grid: one axis of length L.
            times: >= 0.
            sharpness: below 1; the closer to 1 the steeper the front at x = L/2.
        """
        kappa = 2 * math.pi / grid.lengths[0]
        t = torch.tensor(self.times if times is None else times, dtype=torch.float64)[:, None]
        decay = sharpness * torch.exp(-self.viscosity * kappa**2 * t)
        x = kappa * grid.axis(0)
        u = 2 * self.viscosity * kappa * decay * torch.sin(x) / (1 + decay * torch.cos(x))
        return u[None]


def _check(state: Tensor, grid: Grid) -> None:
    if grid.dims != 1 or not grid.periodic[0]:
        raise ValueError(
            f"grid has {grid.dims} axes with periodic {grid.periodic}, expected one periodic axis: "
            "Grid((n,), length, True)"
        )
    if tuple(state.shape[1:]) != grid.shape:
        raise ValueError(
            f"state has shape {tuple(state.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
