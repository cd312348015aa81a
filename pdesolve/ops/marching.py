"""Steps through time as long as the fastest of a batch of flows allows."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .time_stepping import SCHEMES, Scheme
from .vorticity import VorticityTransport

# Steps between two looks at the speed, whose change meanwhile the courant number must cover.
_STEPS_PER_LOOK = 4
# Keeps the relative error of a flow at rest finite.
_TINY = 1e-300


class CourantMarch:
    """Vorticity through time, in steps that follow the largest speed.

        dt = courant / (κ_max max(|u| + |v|)),    κ_max = largest 2π (n_j / 3) / L_j

    A flow at rest sets no limit, so max(|u| + |v|) counts with what the forcing adds to it in one
    step. All flows of a batch take the same steps. Every time asked for is hit exactly: what
    remains until then is divided evenly.

    Args:
        transport: advection on the grid of the flows.
        linear: diagonal of the linear part of ω_t on its spectra, 1/time, <= 0.
        force: spectrum of f, (n, k) or (b, n, k).
        scheme: name of a step in `ops.time_stepping`.
        courant: oscillation of the fastest mode in one step, radians; schemes of order four are
            stable up to 2.8.

    Attributes:
        transport: as given.
        steps: how many were taken so far.
    """

    def __init__(
        self,
        transport: VorticityTransport,
        linear: Float[Tensor, "n k"],
        force: Complex[Tensor, "*b n k"],
        *,
        scheme: Scheme,
        courant: float,
    ):
        if not courant > 0:
            raise ValueError(f"courant is {courant}, expected a number > 0 such as 1.4")
        self.transport, self._linear, self._builder = transport, linear, SCHEMES[scheme]
        self._room = courant / transport.largest_wavenumber
        self._tendency = transport.tendency(force)
        # The speed whose vorticity is f: what one unit of time would add.
        self._acceleration = float(transport.speed(force).max())
        self._last = 0.0
        self.steps = 0

    def advance(self, w: Complex[Tensor, "b n k"], duration: float) -> Complex[Tensor, "b n k"]:
        """Return the spectra of vorticity after a time."""
        remaining = duration
        while remaining > 0:
            count = self._count(w, remaining)
            taken = min(count, _STEPS_PER_LOOK)
            self._last = remaining / count
            step = self._builder(self._linear, self._last, like=w)
            for _ in range(taken):
                w = step(w, self._tendency)
            self.steps += taken
            remaining = 0.0 if taken == count else remaining - taken * self._last
        return w

    def error_estimate(self, w: Complex[Tensor, "b n k"]) -> Float[Tensor, " b"]:
        """Return steps × the relative change of one more step from w when it is halved."""
        if not self.steps:
            return torch.zeros(len(w), dtype=torch.float64, device=w.device)
        whole = self._builder(self._linear, self._last, like=w)(w, self._tendency)
        half = self._builder(self._linear, self._last / 2, like=w)
        halved = half(half(w, self._tendency), self._tendency)
        # A norm would count interior columns twice; an estimate may count them once.
        change, size = (
            torch.linalg.vector_norm(spectrum, dim=(-2, -1)).double()
            for spectrum in (halved - whole, halved)
        )
        return self.steps * change / size.clamp_min(_TINY)

    def _count(self, w: Tensor, remaining: float) -> int:
        # A flow that is no longer finite must not stop the others.
        speed = float(self.transport.speed(w).nan_to_num(0.0, 0.0, 0.0).max())
        # dt is the positive root of  dt (speed + dt acceleration) = room.
        root = math.sqrt(speed**2 + 4 * self._acceleration * self._room)
        return max(1, math.ceil(remaining * (speed + root) / (2 * self._room)))
