"""Incompressible flow in the plane, periodic both ways: vorticity carried by its own velocity."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from ..ops import fourier
from ..ops.marching import CourantMarch
from ..ops.random_fields import gaussian_fields
from ..ops.random_flows import banded_flows, decaying_flows, vortex_lattices
from ..ops.recording import defect
from ..ops.time_stepping import SCHEMES, Scheme, Step
from ..ops.vorticity import VorticityTransport, vorticity_of
from ..solution import Solution

# d(field, orders): any differentiation rule; orders are those of time, x and y.
Derivative = Callable[[Tensor, tuple[int, int, int]], Tensor]

Forcing = Literal["none", "diagonal", "shear", "input"]
Law = Literal["gaussian", "mcwilliams", "mcwilliams_steep", "banded", "taylor_green"]

# Three published sizes of one initial field: codes of 2020 and of 2021, and the paper's text.
_FNO_SCALES = {"2020": math.sqrt(2) * 7**1.5, "2021": 7**1.5, "paper": 7**0.75}
# On a CPU more points side by side leave its caches, and each costs twice as much.
_POINTS_AT_ONCE = 2**16
# Mean of stored float32 values of mean zero, relative to their size.
_DRIFT = 1e-4
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
    times: Sequence[float] = (1.0,)
    fields: Literal["vorticity", "velocity"] = "vorticity"
    solver_shape: Sequence[int] = ()

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
        return {self.inputs[0]: self._random_field(grid, generators)}

    def _random_field(self, grid: Grid, generators: Sequence[torch.Generator]) -> Tensor:
        if self.law == "taylor_green":
            return vortex_lattices(grid, generators, largest=self.peak, scale=self.scale)
        if self.law == "banded":
            return banded_flows(
                grid, generators, peak=self.peak, speed=self.scale, modes=self.modes
            )
        if self.law == "gaussian":
            # On as many points as modes nothing is aliased; then what the grid cannot hold goes.
            field = gaussian_fields(
                grid.resized((self.modes, self.modes)), generators, alpha=self.alpha, tau=self.tau,
                scale=self.scale, modes=self.modes, constant_mode=False,
            )  # fmt: skip
            return fourier.resample(field, grid.shape)
        return decaying_flows(
            grid, generators, peak=self.peak, tau=self.tau, energy=self.scale,
            steep=self.law == "mcwilliams_steep", modes=self.modes,
        )  # fmt: skip

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
        transport = _transport(grid, state.dtype, state.device)
        tendency = transport.tendency(self._force(forcing, grid, transport))
        w = transport.spectrum(state)
        advance = _cached_step(self, scheme, dt / max(substeps, 1), transport)
        for _ in range(substeps):
            w = advance(w, tendency)
        return transport.field(w)

    def tendency(
        self,
        state: Float[Tensor, "*b n m"],
        *,
        grid: Grid,
        forcing: Float[Tensor, "*#b n m"] | None = None,
    ) -> Float[Tensor, "*b n m"]:
        """Return ω_t = ν Δω - damping ω - u·∇ω + f of a state, free of aliasing; differentiable.

        The modes that `step` drops are left out. Errors as in `step`.
        """
        _check_grid(grid)
        _check_field("state", state, grid)
        transport = _transport(grid, state.dtype, state.device)
        w = transport.spectrum(state)
        moved = transport.tendency(self._force(forcing, grid, transport))(w)
        return transport.field(moved + _linear(self, transport) * w)

    @torch.no_grad()
    def substeps(
        self,
        state: Float[Tensor, "*b n m"],
        dt: float,
        *,
        grid: Grid,
        forcing: Float[Tensor, "*#b n m"] | None = None,
    ) -> int:
        """Return how many steps `step` needs for the time dt from any of the states.

        dt / substeps <= 2.8 / (κ_max max(|u| + |v|)),   with what a given f adds to u and v
        """
        transport = _transport(grid, state.dtype, state.device)
        speed = transport.speed(transport.spectrum(state)).nan_to_num(0.0, 0.0, 0.0).max()
        if forcing is not None:
            speed = speed + dt * transport.speed(transport.spectrum(forcing)).max()
        return max(1, math.ceil(dt * float(speed) * transport.largest_wavenumber / 2.8))

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

        The step follows the largest speed, and is looked at anew every few steps:

            dt = courant / (κ_max max(|u| + |v|)),   κ_max = largest 2π (n_j / 3) / L_j

        Samples that are computed side by side (the whole batch, on a CPU the next few) share it,
        so the last digits of one depend on the batch that it is in. Schemes of order four are
        stable up to 2.8; the default is half of that, for accuracy and for what the speed may
        change meanwhile. `cn_euler` needs some hundredths.

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
        start = self._start(initial, forcing, grid)
        fine = grid.resized(start.shape[1:])
        transport = _transport(fine, start.dtype, start.device)
        if forcing is not None:
            forcing = fourier.resample(forcing, fine.shape)
        force = self._force(forcing, fine, transport).expand(len(start), -1, -1)
        at_once = len(start)
        if start.device.type == "cpu":
            at_once = max(1, _POINTS_AT_ONCE // math.prod(fine.shape))
        parts = []
        for i in range(0, len(start), at_once):
            march = CourantMarch(
                transport, _linear(self, transport), force[i : i + at_once],
                scheme=scheme, courant=courant,
            )  # fmt: skip
            parts.append(self._recorded(march, transport.spectrum(start[i : i + at_once]), grid))
        value, residual, steps = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
        converged = value.isfinite().flatten(1).all(1)
        return Solution(
            value=value,
            grid=grid,
            converged=converged,
            stats={"residual": residual, "iterations": steps},
            message="converged"
            if bool(converged.all())
            else "a flow grew without bound: choose a smaller courant number than "
            f"{courant:g}, a larger viscosity or a finer grid",
        ).checked(raise_on_failure=raise_on_failure)

    def _start(self, initial: Tensor | None, forcing: Tensor | None, grid: Grid) -> Tensor:
        """Return the vorticity at the start on the solver's grid, from inputs that are checked."""
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
        return fourier.resample(initial, self.solver_shape or grid.shape)

    def _force(self, forcing: Tensor | None, grid: Grid, transport: VorticityTransport) -> Tensor:
        """Return the spectrum of f: of the given one (b, n, k), or of the named one (n, k)."""
        if (self.forcing == "input") != (forcing is not None):
            raise ValueError(
                f"forcing was {'not ' if forcing is None else ''}given where the equation's "
                f'forcing is {self.forcing!r}: a field goes with forcing="input" only'
            )
        if forcing is None:
            return _named_force(self, grid, transport)
        return transport.spectrum(forcing)

    def _recorded(
        self, march: CourantMarch, w: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return records (b, c, t, n, m), error estimates (b,) and steps (b,) of some flows."""
        w = march.advance(w, self.warm_up)
        records, now = [], 0.0
        for time in self.times:
            w, now = march.advance(w, time - now), time
            fields = (march.transport.field(w),)
            if self.fields == "velocity":
                fields = march.transport.velocity(w)
            records.append(torch.stack([fourier.resample(u, grid.shape) for u in fields], 1))
        steps = torch.full((len(w),), march.steps, device=w.device)
        return torch.stack(records, 2), march.error_estimate(w), steps

    def residual(
        self, d: Derivative, vorticity, stream, *, forcing: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return ω_t + ψ_y ω_x - ψ_x ω_y - νΔω + damping ω - f and Δψ + ω at every point.

        Vorticity and stream function are two unknowns, each read through the derivative
        d(field, orders) with orders of (time, x, y): no Poisson equation is solved in between.
        """
        w, psi = vorticity, stream
        advection = d(psi, (0, 0, 1)) * d(w, (0, 1, 0)) - d(psi, (0, 1, 0)) * d(w, (0, 0, 1))
        linear = sum(c * d(w, (0, *orders)) for orders, c in self.linear.items())
        poisson = d(psi, (0, 2, 0)) + d(psi, (0, 0, 2)) + d(w, (0, 0, 0))
        return d(w, (1, 0, 0)) + advection - linear - forcing, poisson

    @torch.no_grad()
    def relative_residual(
        self,
        *recorded: Float[Tensor, "b t n m"],
        initial: Float[Tensor, "b n m"] | None = None,
        forcing: Float[Tensor, "b n m"] | None = None,
        grid: Grid,
        courant: float = 1.4,
    ) -> Float[Tensor, " b"]:
        """Return how far records are from the solver's own path between them, relative L2.

        See `ops.recording.defect`: each record is compared with the flow that starts from the
        one before. The input counts as a record unless a warm-up lies between. Where records are
        low-pass parts of a finer flow, the eddies that they lack are the larger part of it.

        Args:
            recorded: the fields of `outputs`, at the recorded times.
            initial, forcing: the random input, as for `solve`.

        Raises:
            ValueError: as `solve`; or one record after a warm-up, which leaves nothing to compare.
        """
        fields = [field.double() for field in recorded]
        frames = fields[0]
        if self.fields == "velocity":
            frames = vorticity_of(fields[0], fields[1], grid.lengths)
        given = None if forcing is None else forcing.double()
        if initial is None:
            initial = torch.zeros_like(frames[:, 0])
        times = self.times

        def advance(state: Tensor, duration: float) -> Tensor:
            once = replace(self, warm_up=0.0, times=(duration,), fields="vorticity")
            found = once.solve(
                initial=state, forcing=given, grid=grid, courant=courant, raise_on_failure=False
            )
            return found.value[:, 0, 0]

        # After no time the state is what the solver keeps of it.
        initial = advance(initial.double(), 0.0)
        if self.warm_up:
            if len(times) == 1:
                raise ValueError("times has one entry after a warm-up, expected two or more")
            frames, initial = frames[:, 1:], frames[:, 0]
            times = tuple(time - times[0] for time in times[1:])

        return defect(advance, frames, initial, times)

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        The mean of ω stays zero. Its root mean square r cannot grow faster than by the forcing:

            r' <= rms(f) - λ r,      λ = damping + ν (2π / largest side)²

        since advection only moves ω about: unforced flow decays at least by λ.

        Args:
            fields: "vorticity" (b, t, n, m), and "initial" or "forcing" (b, n, m) if at hand;
                velocities are always of mean vorticity zero and are not checked.
        """
        if "vorticity" not in fields:
            return []
        w = fields["vorticity"].double()
        size = w.square().mean((-2, -1)).sqrt()
        drift = w.mean((-2, -1)).abs()
        limit = self._largest_growth(size, fields, grid)
        return [
            (
                "mean vorticity", ~(drift <= _DRIFT * size).all(1),
                "the mean vorticity of a torus is not zero",
            ),
            (
                "enstrophy budget", ~(size <= (1 + _EXCESS) * limit).all(1),
                "the mean square of vorticity grows faster than the forcing can make it",
            ),
        ]  # fmt: skip

    def _largest_growth(self, size: Tensor, fields: dict[str, Tensor], grid: Grid) -> Tensor:
        """Return the largest rms of ω (b, t) that the one before and the forcing allow."""
        named = fields.get("forcing", self.forcing_field(grid)[None].to(size.device))
        force = named.double().square().mean((-2, -1)).sqrt()
        rate = self.damping + self.viscosity * (2 * math.pi / max(grid.lengths)) ** 2
        first = fields.get("initial", torch.zeros(1, 1, 1).to(size))
        first = first.double().square().mean((-2, -1)).sqrt()
        before = torch.cat([first.expand(len(size))[:, None], size[:, :-1]], 1)
        limits, now = [], -self.warm_up
        for i, time in enumerate(self.times):
            decay = math.exp(-rate * (time - now))
            gain = (1 - decay) / rate if rate else time - now
            limits.append(before[:, i] * decay + force * gain)
            now = time
        return torch.stack(limits, 1)

    def exact(
        self, grid: Grid, times: Sequence[float] | None = None, *, wavenumber: int = 1
    ) -> Float[Tensor, "1 t n m"]:
        """Return decaying Taylor-Green vortices at the given or recorded times, float64.

            ω = 2κ cos(κ_x x) cos(κ_y y) e^{-(2νκ² + damping) t},   2κ² = κ_x² + κ_y²

        A solution where there is no forcing: ψ = ω / 2κ², so the vortices do not move each other.

        Args:
            grid: two periodic axes of lengths L.
            times: from the start of the warm-up on; by default the recorded ones.
            wavenumber: vortex pairs per axis, κ_j = 2π wavenumber / L_j.
        """
        kx, ky = (2 * math.pi * wavenumber / length for length in grid.lengths)
        x, y = grid.coordinates()
        squared = kx**2 + ky**2
        shape = math.sqrt(2 * squared) * torch.cos(kx * x) * torch.cos(ky * y)
        if times is None:
            times = [self.warm_up + time for time in self.times]
        t = torch.tensor(times, dtype=torch.float64)[:, None, None]
        return (torch.exp(-(self.viscosity * squared + self.damping) * t) * shape)[None]


def _linear(equation: NavierStokes2d, transport: VorticityTransport) -> Tensor:
    return -equation.viscosity * transport.squared_wavenumber - equation.damping


# What follows is kept for later calls, some of which may need gradients; tensors that are made
# in inference mode would refuse them.


@lru_cache(maxsize=8)
def _transport(grid: Grid, dtype: torch.dtype, device: torch.device) -> VorticityTransport:
    with torch.inference_mode(False):
        return VorticityTransport(grid.shape, grid.lengths, dtype=dtype, device=device)


@lru_cache(maxsize=8)
def _named_force(equation: NavierStokes2d, grid: Grid, transport: VorticityTransport) -> Tensor:
    with torch.inference_mode(False):
        return transport.spectrum(equation.forcing_field(grid).to(transport.squared_wavenumber))


@lru_cache(maxsize=16)
def _cached_step(
    equation: NavierStokes2d, scheme: Scheme, dt: float, transport: VorticityTransport
) -> Step:
    with torch.inference_mode(False):
        linear = _linear(equation, transport)
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
