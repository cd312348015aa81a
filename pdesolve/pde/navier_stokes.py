"""Incompressible flow in the plane, periodic both ways: vorticity carried by its own velocity."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import fourier
from ..ops.spectral_noise import spectral_noise
from ..ops.time_stepping import SCHEMES, Scheme, Step
from ..ops.vorticity import VorticityTransport, velocity_of
from ..solution import Solution

# d(field, orders): any differentiation rule; orders are those of time, x and y.
Derivative = Callable[[Tensor, tuple[int, int, int]], Tensor]

Forcing = Literal["none", "diagonal", "shear", "input"]
Law = Literal["gaussian", "mcwilliams", "mcwilliams_steep", "banded", "taylor_green"]

# Three published sizes of one initial field: codes of 2020 and of 2021, and the paper's text.
_FNO_SCALES = {"2020": math.sqrt(2) * 7**1.5, "2021": 7**1.5, "paper": 7**0.75}
# Keeps the relative error of a flow at rest finite.
_TINY = 1e-300
# Steps between two looks at the speed: its change meanwhile is covered by the safety of `courant`.
_STEPS_PER_LOOK = 4
# Stored float32 values and sub-grid scales that a coarser stored grid hides move a budget this far.
_EXCESS = 0.05


@dataclass(frozen=True)
class NavierStokes2d:
    """Vorticity ω of two-dimensional incompressible flow on a torus.

        ω_t + u ω_x + v ω_y = ν Δω - damping ω + f
        -Δψ = ω,   u = ψ_y,   v = -ψ_x,   ω = v_x - u_y,      x is axis 0, y is axis 1

    ω and f have mean zero, u and v too: no mean wind. Forcings f, with X = 2πx/L_x, Y = 2πy/L_y:

        "none"        0
        "diagonal"    A (sin k(X + Y) + cos k(X + Y))
        "shear"       -A κ cos κy, κ = 2πk/L_y: the curl of the force A sin κy along x
        "input"       the random input; the flow starts from rest

    Laws of the random input (ω at the start, or f), mean zero, κ the angular wavenumber:

        "gaussian"             N(0, scale² (-Δ + tau²)^-alpha)
        "mcwilliams"           |ψ̂|² ~ 1 / (κ (tau² + (κ/peak)⁴)), of kinetic energy `scale`
        "mcwilliams_steep"     |ψ̂| ~ 1 / (κ (tau² + (κ/peak)⁴)), the same otherwise
        "banded"               |ω̂| ~ log-normal in κ around `peak`, largest speed `scale`
        "taylor_green"         scale · (κ_x² + κ_y²) cos(κ_x x + a) cos(κ_y y + b), random
                               wavenumber 1 to `peak` and phases: keeps its shape and decays

    Kinetic energy is the mean of (u² + v²)/2.

    Args:
        viscosity: ν, length²/time, >= 0. Good values 1e-3 (smooth) to 1e-5 (turbulent at 256²).
        damping: linear drag >= 0, 1/time; enters as -damping ω.
        forcing: one of the table.
        forcing_amplitude, forcing_wavenumber: A and k of the table.
        law: one of the table; scale, alpha, tau, peak are its constants.
        modes: of the random input per axis, whatever the grid: one seed is one field on all.
        warm_up: time that passes, unrecorded, before the time 0 of the records.
        times: when the flow is recorded, increasing, >= 0.
        fields: what is recorded, "vorticity" or "velocity" (u and v).
        solver_shape: points on which `solve` computes; () is the grid asked for. Records are the
            exact low-pass parts of the finer fields. The input holds the modes of the stored grid
            only, so that what is stored determines the flow.

    Fails when: the solver's grid does not resolve the smallest eddies; enstrophy then piles up
    at its last modes.
    """

    viscosity: float = 1e-3
    damping: float = 0.0
    forcing: Forcing = "diagonal"
    forcing_amplitude: float = 0.1
    forcing_wavenumber: int = 1
    law: Law = "gaussian"
    scale: float = _FNO_SCALES["2020"]
    alpha: float = 2.5
    tau: float = 7.0
    peak: int = 4
    modes: int = 256
    warm_up: float = 0.0
    times: tuple[float, ...] = (1.0,)
    fields: Literal["vorticity", "velocity"] = "vorticity"
    solver_shape: tuple[int, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "times", tuple(self.times))
        object.__setattr__(self, "solver_shape", tuple(self.solver_shape))
        for name in ("viscosity", "damping", "warm_up"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number >= 0")
        pairs = zip(self.times, self.times[1:], strict=False)
        if not self.times or self.times[0] < 0 or any(b <= a for a, b in pairs):
            raise ValueError(f"times is {self.times}, expected increasing numbers from >= 0 on")
        for name, allowed in (("forcing", Forcing), ("law", Law)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected one of {get_args(allowed)}"
                )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the random input."""
        return ("forcing",) if self.forcing == "input" else ("initial",)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what is recorded."""
        return ("vorticity",) if self.fields == "vorticity" else ("velocity_x", "velocity_y")

    @property
    def units(self) -> dict[str, str]:
        """Unit of every field; the published sets have no dimensions."""
        return dict.fromkeys((*self.inputs, *self.outputs), "1")

    @property
    def linear(self) -> dict[tuple[int, int], float]:
        """The linear part of ω_t as {orders of d/dx and d/dy: coefficient}."""
        return {(2, 0): self.viscosity, (0, 2): self.viscosity, (0, 0): -self.damping}

    @classmethod
    def fno(
        cls, viscosity: float = 1e-3, amplitude: Literal["2020", "2021", "paper"] = "2020"
    ) -> "NavierStokes2d":
        """Return a set of the Fourier neural operator: unit box, records at t = 1, 2, ...

        The published sizes of the initial field disagree. Root mean square of ω: 0.26 in the
        code of 2020, which made the public files; 0.19 in the code from 2021 on; 0.043 in the
        paper's text.

        Args:
            viscosity: 1e-3 (T = 50), 1e-4 (T = 30) or 1e-5 (T = 20).
            amplitude: which of the three sizes.

        Source: Li et al. 2020, arXiv:2010.08895, section 5.3, and its data generation code.
        """
        ends = {1e-3: 50, 1e-4: 30, 1e-5: 20}
        if viscosity not in ends:
            raise ValueError(
                f"viscosity is {viscosity}, expected one of the published {list(ends)}: build "
                "NavierStokes2d itself for others"
            )
        times = tuple(float(t) for t in range(1, ends[viscosity] + 1))
        return cls(viscosity, scale=_FNO_SCALES[amplitude], times=times, solver_shape=(256, 256))

    @classmethod
    def refiner(cls) -> "NavierStokes2d":
        """Return the forced set of the Spectral-Refiner: the FNO's flow, recorded from t = 30 on.

        Unit box, 100 records 0.2 apart, computed on 256 x 256 points.

        Source: Cao et al. 2024, arXiv:2405.17211, table 2 and its public code.
        """
        times = tuple(0.2 * i for i in range(1, 101))
        return cls(warm_up=30.0, times=times, solver_shape=(256, 256))

    @classmethod
    def kolmogorov(cls) -> "NavierStokes2d":
        """Return Kolmogorov flow with drag, on the box (0, 2π)²: the force sin(4y) along x.

        Drag 0.1, initial speeds up to 5 around wavenumber 4, warm-up 4.5, 100 records 0.055 apart.

        Source: Kochkov et al. 2021, arXiv:2102.01010 (flow); Cao et al. 2024, arXiv:2405.17211 and
        its public code (initial field, times).
        """
        return cls(
            viscosity=1e-3, damping=0.1, forcing="shear", forcing_amplitude=1.0,
            forcing_wavenumber=4, law="banded", scale=5.0, peak=4, warm_up=4.5,
            times=tuple(0.055 * i for i in range(1, 101)), solver_shape=(256, 256),
        )  # fmt: skip

    @classmethod
    def mcwilliams(
        cls, spectrum: Literal["mcwilliams", "mcwilliams_steep"] = "mcwilliams_steep"
    ) -> "NavierStokes2d":
        """Return decaying turbulence on the box (0, 2π)², from eddies around wavenumber 4.

        Warm-up 4.5, 100 records 0.055 apart, kinetic energy 1/4 at the start, no forcing.

        Args:
            spectrum: McWilliams prescribes the square of |ψ̂|; public code gives |ψ̂| itself
                that formula ("mcwilliams_steep"), and its data are made so.

        Source: McWilliams 1984, doi:10.1017/S0022112084001750; Cao et al. 2024, arXiv:2405.17211
        and its public code (constants).
        """
        return cls(
            viscosity=1e-3, forcing="none", law=spectrum, scale=0.25, tau=1.0, peak=4, warm_up=4.5,
            times=tuple(0.055 * i for i in range(1, 101)), solver_shape=(256, 256),
        )  # fmt: skip

    @classmethod
    def taylor_green(cls) -> "NavierStokes2d":
        """Return decaying Taylor-Green vortices on the box (0, 2π)², 41 records from 4.5 to 5.5.

        Source: Cao et al. 2024, arXiv:2405.17211 (times and viscosity).
        """
        return cls(
            viscosity=1e-3, forcing="none", law="taylor_green", scale=1.0, peak=4,
            times=tuple(4.5 + i / 40 for i in range(41)),
        )  # fmt: skip

    @classmethod
    def forced_from_rest(cls) -> "NavierStokes2d":
        """Return the map from a forcing to the vorticity at T = 5, box (0, 2π)², Reynolds 500.

        f ~ N(0, 27 (-Δ + 9)^-4), computed on 256 x 256 points. Regenerated from the description;
        fields of the published files are not matched one by one.

        Source: Kossaifi et al. 2023, arXiv:2310.00120, section on data.
        """
        return cls(
            viscosity=1 / 500, forcing="input", scale=27**0.5, alpha=4.0, tau=3.0, times=(5.0,),
            solver_shape=(256, 256),
        )  # fmt: skip

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b n m"]]:
        """Return the random input by its name, one field for each generator, float64.

        A generator gives the same field on every grid of the same box, up to the modes that the
        grid cannot hold.

        Raises:
            ValueError: the grid is not a periodic one of nodes in the plane.
        """
        _check_grid(grid)
        finest = grid.resized((self.modes, self.modes))
        if self.law == "taylor_green":
            field = self._random_vortices(finest, generators)
        else:
            field = self._random_field(finest, generators)
        return {self.inputs[0]: fourier.resample(field, grid.shape)}

    def _random_field(self, grid: Grid, generators: Sequence[torch.Generator]) -> Tensor:
        volume = math.prod(grid.lengths)

        def amplitude(kappa: Tensor) -> Tensor:
            if self.law == "gaussian":
                return self.scale * (kappa**2 + self.tau**2) ** (-self.alpha / 2) / volume**0.5
            if self.law == "banded":
                # Variance 1/4 of ln κ; the shift puts the largest density at the peak.
                distance = torch.log(kappa) - math.log(self.peak) - 0.25
                return torch.exp(-2 * distance**2) / kappa
            stream = 1 / (kappa * (self.tau**2 + (kappa / self.peak) ** 4))
            return kappa**2 * (stream if self.law == "mcwilliams_steep" else stream.sqrt())

        field = spectral_noise(grid, generators, amplitude, modes=self.modes)
        if self.law == "gaussian":
            return field
        u, v = velocity_of(field, grid.lengths)
        if self.law == "banded":
            size = self.scale / (u**2 + v**2).amax((1, 2)).sqrt()
        else:
            size = (2 * self.scale / (u**2 + v**2).mean((1, 2))).sqrt()
        return size[:, None, None] * field

    def _random_vortices(self, grid: Grid, generators: Sequence[torch.Generator]) -> Tensor:
        draws = [
            torch.rand(3, generator=g, dtype=torch.float64, device=g.device) for g in generators
        ]
        which, a, b = torch.stack(draws).T[..., None, None]
        wavenumber = 1 + torch.floor(self.peak * which)
        x, y = (2 * math.pi / length for length in grid.lengths)
        positions = grid.coordinates(device=which.device)
        kx, ky = wavenumber * x, wavenumber * y
        shape = torch.cos(kx * positions[0] + 2 * math.pi * a)
        shape = shape * torch.cos(ky * positions[1] + 2 * math.pi * b)
        return self.scale * (kx**2 + ky**2) * shape

    def forcing_field(self, grid: Grid) -> Float[Tensor, "n m"]:
        """Return the named forcing at the points of a grid, 1/time², float64; "input" is 0."""
        x, y = grid.coordinates()
        kx, ky = (2 * math.pi * self.forcing_wavenumber / length for length in grid.lengths)
        if self.forcing == "diagonal":
            phase = kx * x + ky * y
            return self.forcing_amplitude * (torch.sin(phase) + torch.cos(phase))
        if self.forcing == "shear":
            return -self.forcing_amplitude * ky * torch.cos(ky * y)
        return torch.zeros_like(x)

    def step(
        self,
        state: Float[Tensor, "*b n m"],
        dt: float,
        substeps: int = 1,
        scheme: Scheme = "ifrk4",
        *,
        grid: Grid,
        forcing: Float[Tensor, "*#b n m"] | None = None,
    ) -> Float[Tensor, "*b n m"]:
        """Return the vorticity after the time dt, taken in equal substeps; differentiable.

        Pseudo-spectral with the square two-thirds rule: modes |k_j| >= n_j / 3 of the state are
        dropped. No step size is chosen here; the schemes of order four in the advection stand

            dt / substeps <= 2.8 / (κ_max max(|u| + |v|)),   κ_max = largest 2π (n_j / 3) / L_j

        and the others less. Coefficients are kept for the next call with the same dt and grid.

        Args:
            state: vorticity, 1/time. float64 is advised; float32 works.
            dt: time, in `substeps` equal steps.
            scheme: "ifrk4" integrating factor Runge-Kutta and "etdrk4" exponential time
                differencing (order 4), "heun_cn" and "rk4_cn" (order 2 with Crank-Nicolson
                diffusion), "cn_euler" (order 1, of the FNO's code).
            grid: where the state lies: two periodic axes of nodes.
            forcing: f, if the equation's forcing is "input".

        Raises:
            ValueError: shapes disagree, or the forcing is missing or not wanted.
        """
        _check_grid(grid)
        _check_field("state", state, grid)
        transport = _transport(grid.shape, grid.lengths, state.dtype, state.device)
        tendency = self._tendency(transport, self._force(forcing, grid))
        w = transport.spectrum(state)
        advance = _cached_step(self.viscosity, self.damping, scheme, dt / substeps, transport)
        for _ in range(substeps):
            w = advance(w, tendency)
        return transport.field(w)

    @torch.no_grad()
    def solve(
        self,
        *,
        initial: Float[Tensor, "b n m"] | None = None,
        forcing: Float[Tensor, "b n m"] | None = None,
        grid: Grid,
        scheme: Scheme = "ifrk4",
        courant: float = 1.4,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return the flow at the recorded times; no gradient flows through.

        The step follows the fastest sample of the batch,

            dt = courant / (κ_max max(|u| + |v|)),   κ_max = largest 2π (n_j / 3) / L_j

        and is looked at anew every few steps, so a sample's bits depend on its company. Schemes
        of order four are stable up to 2.8; the default is half of that, for accuracy and for what
        the speed may change meanwhile. `cn_euler` needs some hundredths.

        Args:
            initial: vorticity at the start of the warm-up; rest where the input is the forcing.
                The result has its dtype, and it is what is computed in: float64 is advised.
            forcing: f, where the equation's forcing is "input".
            grid: where the result is wanted.
            scheme: as in `step`.
            courant: oscillation of the fastest mode in one step, radians, > 0.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, c, t, n, m), c = 1 or 2, t the recorded times, and stats of
            shape (b,): iterations, the steps taken, and residual, an estimate of the error of all
            steps together if none grew: steps times the relative change of the last one when it
            is halved.

        Raises:
            ValueError: the input is missing, not finite or does not lie on a periodic grid.
            ConvergenceError: a flow is not finite in the end.
        """
        start, fine = self._start(initial, forcing, grid)
        transport = _transport(fine.shape, fine.lengths, start.dtype, start.device)
        force = None if forcing is None else fourier.resample(forcing, fine.shape)
        force = self._force(force, fine)
        march = _March(self, transport, force, scheme, courant)
        w = march.advance(transport.spectrum(start), self.warm_up)
        frames, now = [], 0.0
        for time in self.times:
            w, now = march.advance(w, time - now), time
            frames.append(self._recorded(transport, w, grid))
        value = torch.stack(frames, 2)
        converged = value.isfinite().flatten(1).all(1)
        steps = torch.full((len(value),), march.steps, device=value.device)
        return Solution(
            value=value,
            grid=grid,
            converged=converged,
            stats={"residual": march.error_estimate(w), "iterations": steps},
            message="converged"
            if bool(converged.all())
            else "a flow grew without bound: choose a smaller courant number than "
            f"{courant:g}, a larger viscosity or a finer grid",
        ).checked(raise_on_failure=raise_on_failure)

    def _start(
        self, initial: Tensor | None, forcing: Tensor | None, grid: Grid
    ) -> tuple[Tensor, Grid]:
        """Return the vorticity at the start on the solver's grid, and that grid."""
        _check_grid(grid)
        for name, field in (("initial", initial), ("forcing", forcing)):
            if field is not None:
                _check_field(name, field, grid)
                if not bool(field.isfinite().all()):
                    raise ValueError(f"{name} holds NaN or infinity, expected finite values")
        if initial is None:
            if forcing is None:
                raise ValueError(f"no input was given, expected {self.inputs[0]}: pass it by name")
            initial = torch.zeros_like(forcing)
        fine = grid.resized(self.solver_shape or grid.shape)
        return fourier.resample(initial, fine.shape), fine

    def _force(self, forcing: Tensor | None, grid: Grid) -> Tensor | None:
        """Return f at the grid points: the given one, the named one, or None for no forcing."""
        if (self.forcing == "input") != (forcing is not None):
            raise ValueError(
                f"forcing was {'not ' if forcing is None else ''}given where the equation's "
                f'forcing is {self.forcing!r}: a field goes with forcing="input" only'
            )
        if forcing is not None or self.forcing == "none":
            return forcing
        return self.forcing_field(grid)

    def _tendency(
        self, transport: VorticityTransport, force: Tensor | None
    ) -> Callable[[Tensor], Tensor]:
        """Return the nonlinear part and the forcing of ω_t, on spectra."""
        if force is None:
            return transport.advection
        spectrum = transport.spectrum(force.to(transport.dtype))
        return lambda w: transport.advection(w).add_(spectrum)

    def _recorded(self, transport: VorticityTransport, w: Tensor, grid: Grid) -> Tensor:
        """Return the recorded fields (b, c, n, m) on the stored grid."""
        fields = (transport.field(w),) if self.fields == "vorticity" else transport.velocity(w)
        return torch.stack([fourier.resample(field, grid.shape) for field in fields], 1)


class _March:
    """Steps of one batch through time, each as long as the fastest sample allows."""

    def __init__(
        self,
        equation: NavierStokes2d,
        transport: VorticityTransport,
        force: Tensor | None,
        scheme: Scheme,
        courant: float,
    ):
        if not courant > 0:
            raise ValueError(f"courant is {courant}, expected a number > 0 such as 1.4")
        self.transport, self.courant, self.steps, self.last = transport, courant, 0, 0.0
        self.tendency = equation._tendency(transport, force)
        self.builder = SCHEMES[scheme]
        self.linear = _linear(equation.viscosity, equation.damping, transport)
        # A flow at rest sets no limit, so the speed that the forcing will give it counts too.
        self.acceleration = 0.0
        if force is not None:
            spectrum = transport.spectrum(force.to(transport.dtype))
            self.acceleration = float(transport.speed(spectrum).max())

    def advance(self, w: Tensor, duration: float) -> Tensor:
        """Return the spectra of vorticity after a time."""
        remaining = duration
        while remaining > 0:
            count = self._count(w, remaining)
            taken = min(count, _STEPS_PER_LOOK)
            self.last = remaining / count
            step = self.builder(self.linear, self.last, like=w)
            for _ in range(taken):
                w = step(w, self.tendency)
            self.steps += taken
            remaining = 0.0 if taken == count else remaining - taken * self.last
        return w

    def _count(self, w: Tensor, remaining: float) -> int:
        speed = float(self.transport.speed(w).nan_to_num(0.0, 0.0, 0.0).max())
        room = self.courant / self.transport.largest_wavenumber
        # The positive root of dt (speed + dt acceleration) = room.
        root = math.sqrt(speed**2 + 4 * self.acceleration * room)
        return max(1, math.ceil(remaining * (speed + root) / (2 * room)))

    def error_estimate(self, w: Tensor) -> Float[Tensor, " b"]:
        """Return steps × the relative change of one more step when it is halved."""
        if not self.steps:
            return torch.zeros(len(w), dtype=torch.float64, device=w.device)
        whole = self.builder(self.linear, self.last, like=w)(w, self.tendency)
        half = self.builder(self.linear, self.last / 2, like=w)
        halved = half(half(w, self.tendency), self.tendency)
        # Columns count once here, interior ones twice in a norm: an estimate may ignore that.
        moved = torch.linalg.vector_norm(halved - whole, dim=(-2, -1)).double()
        return self.steps * moved / torch.linalg.vector_norm(halved, dim=(-2, -1)).clamp_min(_TINY)


def _linear(viscosity: float, damping: float, transport: VorticityTransport) -> Tensor:
    return -viscosity * transport.squared_wavenumber - damping


@lru_cache(maxsize=8)
def _transport(
    shape: tuple[int, ...], lengths: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> VorticityTransport:
    # Kept for later calls, of which some may need gradients that inference tensors refuse.
    with torch.inference_mode(False):
        return VorticityTransport(shape, lengths, dtype=dtype, device=device)


@lru_cache(maxsize=16)
def _cached_step(
    viscosity: float, damping: float, scheme: Scheme, dt: float, transport: VorticityTransport
) -> Step:
    with torch.inference_mode(False):
        linear = _linear(viscosity, damping, transport)
        return SCHEMES[scheme](linear, dt, like=transport.empty_spectrum())


def _check_grid(grid: Grid) -> None:
    if grid.dims != 2 or not all(grid.periodic) or grid.placement != "node":
        raise ValueError(
            f"grid has {grid.dims} axes of {grid.placement}s with periodic {grid.periodic}, "
            "expected two periodic axes of nodes: Grid((n, m), lengths, True)"
        )


def _check_field(name: str, field: Tensor, grid: Grid) -> None:
    if tuple(field.shape[-2:]) != grid.shape:
        raise ValueError(
            f"{name} has shape {tuple(field.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
