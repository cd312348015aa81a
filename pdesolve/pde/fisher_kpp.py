"""Fisher-KPP equations: a density spreads and grows, by one of several laws of growth."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

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

Form = Literal["logistic", "cubic", "exponential", "allee"]
FORMS: tuple[Form, ...] = get_args(Form)

# Rounding of stored float32 values, and the overshoot of a steep initial density.
_EXCESS = 1e-3


@dataclass(frozen=True)
class FisherKPP:
    """Density u of a population on a line, between walls that nothing crosses, or on a circle.

        u_t = D u_xx + R(u),      u_x = 0 at the walls,      u(0) = initial

        "logistic"      R = a u (1 - u)
        "cubic"         R = a u (1 - u²)
        "exponential"   R = a u (1 - u) exp(-b (1 - u))
        "allee"         R = a u (1 - u) (u - b): below the threshold b the density dies out

    A sample's law is told by five numbers: `form`, the position in the list above, and the
    coefficients of u, u², u³, u⁴ (`linear`, `quadratic`, `cubic`, `quartic`). They are R itself,
    but for "exponential", where exp(b u) is expanded to second order; there a and b are read back
    from them, so the solver uses the exact R and the operator's input is still exact.

    Random initial densities are 1 / (1 + exp(-g)), g ~ N(0, scale² (-d²/dx² + tau²)^-alpha).

    Args:
        forms: laws to draw from; a law that stands twice is drawn twice as often.
        diffusivity: D, length²/time, > 0.
        rates: values of a to draw from, 1/time.
        steepness: values of b to draw from for "exponential", dimensionless, > 0.
        thresholds: values of b to draw from for "allee", density between 0 and 1.
        times: when u is recorded, increasing; 0 records the initial density too.
        scale, tau, alpha: amplitude, inverse correlation length (1/length) and smoothness of g.
        modes: basis functions of g, whatever the grid, so that one seed is one density on all.

    The published three laws, their a and b, the share of each and the 20 times are the defaults;
    "allee" is this package's held-out law. D and the law of u_0 were not published.

    Source: Kumar et al. 2024, multi-task DeepONet, arXiv:2408.02198, and its code.
    """

    forms: Sequence[Form] = ("logistic", "cubic", "exponential", "exponential")
    diffusivity: float = 0.01
    rates: Sequence[float] = tuple(i / 10 for i in range(1, 11))
    steepness: Sequence[float] = tuple(0.5 + i / 6 for i in range(10))
    thresholds: Sequence[float] = (0.1, 0.2, 0.3, 0.4)
    times: Sequence[float] = tuple(i / 19 for i in range(20))
    scale: float = 40.0
    tau: float = 5.0
    alpha: float = 2.0
    modes: int = 64

    inputs: ClassVar[tuple[str, ...]] = ("initial",)
    outputs: ClassVar[tuple[str, ...]] = ("density",)
    parameters: ClassVar[tuple[str, ...]] = ("form", "linear", "quadratic", "cubic", "quartic")
    units: ClassVar[dict[str, str]] = {"initial": "1", "density": "1"}

    def __post_init__(self):
        for name in ("forms", "rates", "steepness", "thresholds", "times"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.forms or not set(self.forms) <= set(FORMS):
            raise ValueError(f"forms is {self.forms}, expected some of {FORMS}")
        if not self.diffusivity > 0:
            raise ValueError(f"diffusivity is {self.diffusivity}, expected a number > 0")
        if min(self.rates) <= 0 or min(self.steepness) <= 0:
            raise ValueError(
                f"rates is {self.rates} and steepness {self.steepness}, expected numbers > 0"
            )

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b ..."]]:
        """Return {"initial": u_0 (b, n)} and the five parameters, each (b,), float64.

        One sample for each generator, the same on every grid.
        """
        laws = [self.encoding(*self._random_law(generator)) for generator in generators]
        field = gaussian_fields(
            grid, generators, alpha=self.alpha, tau=self.tau, scale=self.scale, modes=self.modes
        )
        drawn = {
            name: torch.tensor([law[name] for law in laws], dtype=field.dtype, device=field.device)
            for name in self.parameters
        }
        return {"initial": torch.sigmoid(field), **drawn}

    @staticmethod
    def encoding(form: Form, rate: float, shape: float = 0.0) -> dict[str, float]:
        """Return the five parameters of a law of growth.

        Args:
            form: its name.
            rate: a, 1/time.
            shape: b of "exponential" or "allee"; the others have none.

        >>> FisherKPP.encoding("cubic", 0.5)
        {'form': 1.0, 'linear': 0.5, 'quadratic': 0.0, 'cubic': -0.5, 'quartic': 0.0}
        """
        b = shape
        coefficients = {
            "logistic": (1.0, -1.0, 0.0, 0.0),
            "cubic": (1.0, 0.0, -1.0, 0.0),
            "exponential": (1.0, b - 1, b * (b / 2 - 1), -(b**2) / 2),
            "allee": (-b, 1 + b, -1.0, 0.0),
        }[form]
        factor = rate * math.exp(-b) if form == "exponential" else rate
        values = (float(FORMS.index(form)), *(factor * c for c in coefficients))
        return dict(zip(FisherKPP.parameters, values, strict=True))

    @staticmethod
    def reaction(density: Float[Tensor, "b *grid"], **parameters: Tensor) -> Tensor:
        """Return R(u), 1/time, for the five parameters, each (b,)."""
        form, c1, c2, c3, c4 = (
            parameters[name].to(density).reshape(-1, *(1,) * (density.ndim - 1))
            for name in FisherKPP.parameters
        )
        u = density
        polynomial = u * (c1 + u * (c2 + u * (c3 + u * c4)))
        exponential = form == FORMS.index("exponential")
        # c1 = a e^-b and c2 = c1 (b - 1); other laws may have c1 = 0.
        steepness = torch.where(exponential, 1 + c2 / torch.where(exponential, c1, 1), 0)
        return torch.where(exponential, c1 * u * (1 - u) * torch.exp(steepness * u), polynomial)

    def residual(self, d: Derivative, density, **parameters: Tensor) -> Tensor:
        """Return u_t - D u_xx - R(u) on a space-time grid, orders (time, x)."""
        growth = self.reaction(d(density, (0, 0)), **parameters)
        return d(density, (1, 0)) - self.diffusivity * d(density, (0, 2)) - growth

    def step(
        self,
        state: Float[Tensor, "b n"],
        dt: float,
        substeps: int = 1,
        *,
        grid: Grid,
        **parameters: Tensor,
    ) -> Float[Tensor, "b n"]:
        """Return u after the time dt, taken in equal substeps of ETDRK4; differentiable.

        Between walls the line is continued as an even function, which is periodic and keeps
        u_x = 0; diffusion is then exact mode by mode. Batched; float64 is advised.

        Raises:
            ValueError: the grid is not one axis of nodes or cells, a parameter is missing, or the
                state does not lie on the grid.
        """
        _check(state, grid, parameters)
        extended = _even(state, grid)
        n = extended.shape[1]
        length = n * grid.spacing[0]
        (kappa,) = fourier.wavenumbers((n,), (length,), dtype=torch.float64, device=state.device)
        v = torch.fft.rfft(extended)
        advance = exponential_rk4(-self.diffusivity * kappa**2, dt / max(substeps, 1), like=v)

        def nonlinear(w: Tensor) -> Tensor:
            return torch.fft.rfft(self.reaction(torch.fft.irfft(w, n=n), **parameters))

        for _ in range(substeps):
            v = advance(v, nonlinear)
        return torch.fft.irfft(v, n=n)[:, : grid.shape[0]]

    @property
    def linear(self) -> dict[tuple[int, ...], float]:
        """The diffusion of u_t as {orders of d/dx: coefficient}."""
        return {(2,): self.diffusivity}

    def substeps(
        self, state: Float[Tensor, "b n"], dt: float, *, grid: Grid, **parameters: Tensor
    ) -> int:
        """Return how many steps `step` needs: dt / substeps <= 1 / max |R'(u)|."""
        del grid

        def reaction(density: Tensor) -> Tensor:
            return self.reaction(density, **parameters)

        density = state.detach()
        slope = torch.func.jvp(reaction, (density,), (torch.ones_like(density),))[1]
        return max(1, math.ceil(dt * float(slope.abs().nan_to_num(0.0, 0.0, 0.0).max())))

    @torch.no_grad()
    def solve(
        self,
        *,
        initial: Float[Tensor, "b n"],
        grid: Grid,
        tolerance: float = 1e-7,
        max_substeps: int = 2**14,
        raise_on_failure: bool = True,
        **parameters: Tensor,
    ) -> Solution:
        """Return the density at the recorded times; no gradient flows through.

        Steps are halved until the state at the end of each interval changes by at most
        `tolerance` (relative L2), in float64; the error in time is then about a tenth of it.

        Args:
            initial: u at time 0. The result has its dtype.
            grid: one axis: periodic, cells, or nodes with both ends.
            tolerance: of the relative change when steps are halved.
            max_substeps: of one interval between recorded times.
            raise_on_failure: False returns what was reached, with `converged` False.
            parameters: the five of the class, each (b,).

        Returns:
            Solution with value (b, 1, t, n), stats residual (that relative change) and
            iterations (steps taken), each (b,).

        Raises:
            ValueError: as `step`.
            ConvergenceError: a sample did not settle within max_substeps.
        """
        _check(initial, grid, parameters)
        return recorded_solution(
            self._advance(grid, parameters), initial, self.times, grid=grid, tolerance=tolerance,
            max_substeps=max_substeps, advice="record more often or allow a larger tolerance",
            raise_on_failure=raise_on_failure,
        )  # fmt: skip

    @torch.no_grad()
    def relative_residual(
        self,
        density: Float[Tensor, "b t n"],
        *,
        initial: Float[Tensor, "b n"],
        grid: Grid,
        tolerance: float = 1e-6,
        **parameters: Tensor,
    ) -> Float[Tensor, " b"]:
        """Return the defect of recorded densities: their distance from steps between them.

        See `ops.recording.defect`; steps are halved until they change by at most `tolerance`.
        """
        _check(initial, grid, parameters)
        return recorded_defect(
            self._advance(grid, parameters), density, initial, self.times, tolerance=tolerance
        )

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "initial" (b, n) and "density" (b, t, n), or (b, n) where one time is recorded;
                those that are missing are not checked.
        """
        del grid
        if "density" not in fields:
            return []
        u = fields["density"].double().flatten(1)
        found = [("positive density", ~(u.amin(1) >= -_EXCESS), "a density is negative")]
        if "initial" in fields:
            bound = fields["initial"].double().amax(1).clamp(min=1) + _EXCESS
            sentence = "a density is larger than 1 and than all initial ones"
            found.append(("maximum principle", ~(u.amax(1) <= bound), sentence))
        return found

    def wave(
        self, grid: Grid, times: Sequence[float], *, form: Form, rate: float, shape: float = 0.0
    ) -> Float[Tensor, "1 t n"]:
        """Return a travelling wave by formula, u = 1 on the left and 0 on the right, float64.

            u = (1 + exp(k ξ))^-p,   ξ = x - L/4 - c t,   ω = √(a D)

            "logistic"   k = √(a/6D),   p = 2,   c = 5 ω/√6         (Ablowitz, Zeppetella 1979)
            "cubic"      k = √(a/2D),   p = 1,   c = 3 ω/√2
            "allee"      k = √(a/2D),   p = 1,   c = √2 ω (1/2 - b)     (Nagumo)

        The walls feel it as exp(-k distance).

        Raises:
            ValueError: the law is "exponential", whose wave has no formula.
        """
        unit = math.sqrt(rate * self.diffusivity)
        waves = {
            "logistic": (6.0, 2, 5 * unit / math.sqrt(6)),
            "cubic": (2.0, 1, 3 * unit / math.sqrt(2)),
            "allee": (2.0, 1, math.sqrt(2) * unit * (0.5 - shape)),
        }
        if form not in waves:
            raise ValueError(f"form is {form!r}, expected one of {tuple(waves)}: no formula known")
        divisor, power, speed = waves[form]
        slope = math.sqrt(rate / (divisor * self.diffusivity))
        t = torch.tensor(times, dtype=torch.float64)[:, None]
        position = grid.axis(0) - grid.lengths[0] / 4 - speed * t
        return torch.sigmoid(-slope * position)[None] ** power

    def _random_law(self, generator: torch.Generator) -> tuple[Form, float, float]:
        form = _choice(self.forms, generator)
        rate = _choice(self.rates, generator)
        shapes = {"exponential": self.steepness, "allee": self.thresholds}.get(form, (0.0,))
        return form, rate, _choice(shapes, generator)

    def _advance(self, grid: Grid, parameters: dict[str, Tensor]):
        def advance(u: Tensor, duration: float, count: int, rows: Tensor) -> Tensor:
            theirs = {name: values[rows] for name, values in parameters.items()}
            return self.step(u, duration, count, grid=grid, **theirs)

        return advance


def _choice(values: Sequence, generator: torch.Generator):
    return values[int(torch.randint(len(values), (), generator=generator, device=generator.device))]


def _even(u: Tensor, grid: Grid) -> Tensor:
    """Return u continued beyond its right wall as in a mirror; a circle as it is."""
    if grid.periodic[0]:
        return u
    # A wall node is its own mirror image, a cell beside the wall is not.
    mirrored = u[:, 1:-1] if grid.placement == "node" else u
    return torch.cat([u, mirrored.flip(1)], 1)


def _check(state: Tensor, grid: Grid, parameters: dict[str, Tensor]) -> None:
    if grid.dims != 1 or (any(grid.offset) and not grid.periodic[0]):
        raise ValueError(
            f"grid has {grid.dims} axes and offset {grid.offset}, expected one axis that is "
            "periodic or stores its walls: Grid((n,), length, False)"
        )
    if tuple(state.shape[1:]) != grid.shape:
        raise ValueError(
            f"state has shape {tuple(state.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
    if set(parameters) != set(FisherKPP.parameters):
        raise ValueError(
            f"parameters are {sorted(parameters)}, expected {sorted(FisherKPP.parameters)}, each "
            "(b,): FisherKPP.encoding makes them"
        )
