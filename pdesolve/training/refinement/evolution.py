"""What an evolution equation knows about the error of a predicted trajectory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...grid import Grid
from ...ops import defect, difference, fourier, norms
from ...ops.time_difference import time_derivative

# Substeps of a prediction over those of the known states.
_WILDEST = 8
_POINTS_AT_ONCE = 2**16
# Steps at which the error of the time steps is looked at.
_LOOKS = 2


@runtime_checkable
class Stepper(Protocol):
    """An equation with a stepper: see `pde.NavierStokes2d` and the other evolution equations.

    `linear` is the linear part of u_t as {orders: coefficient}; `substeps` says how many steps
    `step` needs from given states; in no substeps it returns what it keeps of a state.
    """

    @property
    def linear(self) -> Mapping[tuple[int, ...], float]: ...

    def substeps(self, state: Tensor, dt: float, *, grid: Grid, **given: Tensor) -> int: ...

    def step(
        self, state: Tensor, dt: float, substeps: int = 1, *, grid: Grid, **given: Tensor
    ) -> Tensor: ...


@dataclass(frozen=True)
class Evolution:
    """Trajectories of an equation in equal steps from known states.

    Args:
        equation: with a stepper Φ.
        grid: of the states, without time.
        step: D, the time from one state to the next.
        anchor: the last known states h_0 (b, *grid), float64.
        given: fields and numbers that `step` of the equation takes by name, (b, ...).
        coarse: points of the grid on which the large scales of a defect are carried forward by
            the equation; the grid's own shape carries all of it so; None carries it by the
            linear part alone.
        substeps: of Φ in a step; the same for all iterates, so that they seek one solution.
    """

    equation: Stepper
    grid: Grid
    step: float
    anchor: Float[Tensor, "b *grid"]
    given: Mapping[str, Tensor] = field(default_factory=dict)
    coarse: tuple[int, ...] | None = None
    substeps: int = 1

    def kept(self, states: Float[Tensor, "b n *grid"]) -> Float[Tensor, "b n *grid"]:
        """Return what the stepper keeps of the states: without what its two-thirds rule drops."""
        return self._advance(states, self.grid, 0.0, 0)

    def reached(self, states: Float[Tensor, "b n *grid"]) -> Float[Tensor, "b n *grid"]:
        """Return Φ(h_{l-1}), all in one batch."""
        starts = defect.before(self.anchor, states)
        return self._advance(starts, self.grid, self.step, self.substeps)

    def stable(self, states: Float[Tensor, "b n *grid"]) -> "Evolution":
        """Return the same with as many substeps as the states need.

        No more than so many times those of the known states: a prediction that would need more is
        too wild to be worth the work.
        """
        known = self._substeps(self.anchor[:, None], self.grid)
        wanted = self._substeps(defect.before(self.anchor, states), self.grid)
        return replace(self, substeps=min(wanted, _WILDEST * known))

    def defects(self, states: Float[Tensor, "b n *grid"]) -> Float[Tensor, "b n *grid"]:
        """Return d_l = Φ(h_{l-1}) - h_l; differentiable."""
        return self.reached(states) - states

    def errors(
        self, states: Float[Tensor, "b n *grid"], defects: Float[Tensor, "b n *grid"]
    ) -> Float[Tensor, "b n *grid"]:
        """Return the defects carried forward: the error h* - h of each state, to first order."""
        if self.coarse is None:
            return self.integrated(defects)
        starts = defect.before(self.anchor, states)
        if self.coarse == self.grid.shape:
            return defect.carried(
                lambda u: self._advance(u, self.grid, self.step, self.substeps), starts, defects,
                reached=defects + states,
            )  # fmt: skip
        return self._carried_coarsely(starts, defects)

    def differences(
        self,
        states: Float[Tensor, "b n *grid"],
        known: Float[Tensor, "b t *grid"],
        *,
        order: int,
    ) -> Float[Tensor, "b n *grid"]:
        """Return -D (dh/dt - F(h)) with u_t = F(u) and time differences: for want of a stepper.

        Args:
            states: h_1 ... h_n.
            known: states before them, the last being the anchor.
            order: of accuracy of the differences.
        """
        frames = torch.cat([known, states], 1)
        slope = time_derivative(frames, self.step, order=order)[:, -states.shape[1] :]
        return self.step * (self.tendencies(states) - slope)

    def tendencies(self, states: Float[Tensor, "b n *grid"]) -> Float[Tensor, "b n *grid"]:
        """Return F(h) of u_t = F(u) at each state; differentiable."""
        given = self._given(states.shape[1], self.grid)
        flat = tendency(self.equation, states.flatten(0, 1), self.grid, given)
        return flat.reshape(states.shape)

    def advanced(
        self, states: Float[Tensor, "b n *grid"], duration: float
    ) -> Float[Tensor, "b n *grid"]:
        """Return each state after a time, which may be negative where it is short; one substep."""
        return self._advance(states, self.grid, duration, 1)

    def integrated(self, defects: Float[Tensor, "b n *grid"]) -> Float[Tensor, "b n *grid"]:
        """Return the defects carried forward by the linear part alone; differentiable."""
        return defect.integrated(defects, self._propagator)

    def finer(self) -> "Evolution | None":
        """Return the next better estimator, 3/4 and then all of the points, or None."""
        if self.coarse is None or self.coarse == self.grid.shape:
            return None
        wider = coarse_shape(self.grid, 3 / 4)
        grown = all(new > old for new, old in zip(wider, self.coarse, strict=True))
        return replace(self, coarse=wider if grown else self.grid.shape)

    def residual(
        self, states: Float[Tensor, "b n *grid"], defects: Float[Tensor, "b n *grid"]
    ) -> Float[Tensor, " b"]:
        """Return the H^-1 norm of the residual d/D, root mean square over the steps.

        The norm is the homogeneous one, without the mean mode; beside walls it is that of L².
        """
        del states
        rates = (defects / self.step).flatten(0, 1)[:, None]
        if all(self.grid.periodic):
            size = norms.sobolev(rates, -1, self.grid.lengths, homogeneous=True)
        else:
            size = norms.root_mean_square(rates)
        return size.reshape(defects.shape[:2]).square().mean(1).sqrt()

    def floor(self, states: Float[Tensor, "b n *grid"]) -> Float[Tensor, " b"]:
        """Return the error of Φ's own time steps: the change of the defects when they are halved.

        As carried forward by the linear part, relative to the states. The change is looked at in a
        few steps, which stand for those after them.
        """
        count = states.shape[1]
        stride = max(1, count // _LOOKS)
        some = defect.before(self.anchor, states)[:, ::stride]
        once, twice = (
            self._advance(some, self.grid, self.step, self.substeps << halvings)
            for halvings in (0, 1)
        )
        change = (twice - once).repeat_interleave(stride, 1)[:, :count]
        carried = self.integrated(change) if all(self.grid.periodic) else change.cumsum(1)
        return carried.flatten(1).norm(dim=1) / states.flatten(1).norm(dim=1)

    def rows(self, rows: Tensor) -> "Evolution":
        """Return the same for some samples of the batch."""
        given = {name: value[rows] for name, value in self.given.items()}
        return replace(self, anchor=self.anchor[rows], given=given)

    def after(self, anchor: Float[Tensor, "b *grid"]) -> "Evolution":
        """Return the same from other known states."""
        return replace(self, anchor=anchor)

    def _carried_coarsely(self, starts: Tensor, defects: Tensor) -> Tensor:
        shape = self.coarse or self.grid.shape
        grid = self.grid.resized(shape)
        count = min(self._substeps(defect.low_band(starts, shape), grid), self.substeps)
        while True:
            errors = defect.carried_coarsely(
                lambda u, count=count: self._advance(u, grid, self.step, count),
                starts, defects, self._propagator, shape,
            )  # fmt: skip
            # A coarse grid may be less stable than its states let expect.
            if count >= self.substeps or bool(errors.isfinite().all()):
                return errors
            count *= 2

    @cached_property
    def _propagator(self) -> Tensor:
        if not all(self.grid.periodic):
            raise ValueError(
                f"grid has walls (periodic is {self.grid.periodic}), expected a periodic grid: "
                "between walls only the equation itself carries errors, coarse=1"
            )
        return defect.propagator(
            self.equation.linear, self.step, self.grid.shape, self.grid.lengths,
            dtype=self.anchor.dtype, device=self.anchor.device,
        )  # fmt: skip

    def _substeps(self, starts: Tensor, grid: Grid) -> int:
        flat = starts.flatten(0, 1)
        given = self._given(starts.shape[1], grid)
        return self.equation.substeps(flat, self.step, grid=grid, **given)

    def _advance(self, states: Tensor, grid: Grid, duration: float, substeps: int) -> Tensor:
        flat, given = states.flatten(0, 1), self._given(states.shape[1], grid)
        # Steps are sequences of sweeps over all points: fewer states at a time stay in a CPU's
        # caches, where each costs half as much.
        most = len(flat)
        if flat.device.type == "cpu":
            most = max(1, _POINTS_AT_ONCE // math.prod(grid.shape))
        parts = [
            self.equation.step(
                flat[first : first + most],
                duration,
                substeps,
                grid=grid,
                **{name: value[first : first + most] for name, value in given.items()},
            )
            for first in range(0, len(flat), most)
        ]
        return torch.cat(parts).reshape(states.shape)

    def _given(self, count: int, grid: Grid) -> dict[str, Tensor]:
        """Return the given values for each of so many states a sample, on that grid."""
        found = {}
        for name, value in self.given.items():
            on_grid = tuple(value.shape[1:]) == self.grid.shape
            if on_grid and grid.shape != self.grid.shape:
                value = fourier.resample(value, grid.shape)
            found[name] = value.repeat_interleave(count, 0)
        return found


def tendency(
    equation: Any, state: Float[Tensor, "b *grid"], grid: Grid, given: Mapping[str, Tensor]
) -> Float[Tensor, "b *grid"]:
    """Return F(u) of u_t = F(u): by the equation, or from its residual with u_t left out."""
    if hasattr(equation, "tendency"):
        return equation.tendency(state, grid=grid, **given)

    def d(u: Tensor, orders: tuple[int, ...]) -> Tensor:
        if orders[0]:
            return torch.zeros_like(u)
        if all(grid.periodic):
            return fourier.derivative(u, orders[1:], grid.lengths)
        return difference.derivative(u, orders[1:], grid)

    return -equation.residual(d, state, **given)


def coarse_shape(grid: Grid, share: float) -> tuple[int, ...]:
    """Return the points of a coarser grid, even numbers, with a share of those of each axis.

    >>> coarse_shape(Grid((64, 33), 1.0, True), 0.5)
    (32, 18)
    """
    return tuple(min(n, 2 * math.ceil(share * n / 2)) for n in grid.shape)
