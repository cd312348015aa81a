"""GP-HM as published: grid values and all kernel parameters fitted together by Adam.

    minimise  -[log N(U; 0, K) + λ (½N_b log τ - ½τ ||U_b - g||²) + ½N_c log v - ½v ||R(U)||²]

over U, the kernels' parameters, τ and v. It takes 1e5 to 3e6 steps; `solve` needs none of them. It
is here as the baseline that figures are compared with in one process.

Source: Fang, Cooley, Long, Li, Kirby, Zhe 2024, arXiv 2311.04465, and the authors' code at
github.com/xuangu-fang/Gaussian-Process-Slover-for-High-Freq-PDE. Different here: nothing is chosen
by the exact solution (their figures are the least error of twenty checkpoints); the end counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import Grid
from ..solution import Solution
from .axis import axes_of
from .hm_prior import Assembly, GridPrior, KernelName, PriorState
from .jet import jet_of

Face = tuple[int, str]


@dataclass(frozen=True)
class Published:
    """Settings of the published algorithm.

    Args:
        kernel: "student_t" (GP-HM-StM), "gaussian" (GP-HM-GM), and the ablations "matern" and
            "squared_exponential".
        components: Q, in each axis.
        top_frequency: F; initial frequencies are spread from 0 to it, cycles per length. The
            published ones are 20 to 100, chosen for each problem.
        boundary_weight: λ, of the boundary likelihood alone; 200, advection 500.
        learning_rate: of Adam, without schedule.
        jitter: added to the diagonal of every K.
        change_point: share of the steps after which the mixture is frozen and a second GP with one
            Matérn kernel is added to it and learned ("extra GP", one axis); None for never.
        assembly: "toeplitz", or "pairwise" for the published cost; the values are the same.
    """

    kernel: KernelName = "student_t"
    components: int = 30
    top_frequency: float = 20.0
    boundary_weight: float = 200.0
    learning_rate: float = 0.01
    jitter: float = 1e-6
    change_point: float | None = None
    assembly: Assembly = "toeplitz"


class GPHM(nn.Module):
    """The unknowns of one problem and their joint probability.

    Args:
        equation: an object with `residual(d, u, **fields)`, or that function.
        grid: node grid with walls, one or two axes in the publication.
        faces: given values on (axis, "low" | "high"): a number or a field on the face's nodes.
            Published problems give all faces, for advection also those of outflow. Corners count
            once for each face.
        fields: what the residual reads by name, on the nodes or numbers; `source` among them.
        settings: of the publication.

    Raises:
        ValueError: a face is unknown, a field does not lie on the grid, or the residual reads
            derivatives of a field.
    """

    def __init__(
        self,
        equation: Any,
        grid: Grid,
        *,
        faces: Mapping[Face, Tensor | float],
        fields: Mapping[str, Tensor | float] | None = None,
        settings: Published | None = None,
    ):
        super().__init__()
        self.settings = settings or Published()
        self.grid = grid
        fields = dict(fields or {})
        self._jet = jet_of(equation, grid.dims, fields)
        self._known = _known_on(grid, self._jet.known_orders, fields)
        self._faces = [_face(face, value, grid) for face, value in faces.items()]
        self.prior = self._new_prior(self.settings.kernel, self.settings.components)
        self.extra: GridPrior | None = None
        self.log_boundary_precision = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.log_equation_precision = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def _new_prior(self, kernel: KernelName, components: int) -> GridPrior:
        settings = self.settings
        return GridPrior(
            [axis.nodes for axis in axes_of(self.grid)],
            name=kernel,
            components=components,
            top_frequency=settings.top_frequency,
            jitter=settings.jitter,
            assembly=settings.assembly,
        )

    def add_extra(self) -> None:
        """Freeze what was learned and add a second GP with one Matérn kernel of unit weight.

        The precision of the boundary goes on from where it is, that of the equation from 1.
        """
        self.prior.requires_grad_(False)
        self.extra = self._new_prior("matern", 1)
        with torch.no_grad():
            self.log_equation_precision.zero_()

    def loss(self) -> Float[Tensor, ""]:
        """Return minus the log joint probability, without constants."""
        states = self._states()
        boundary, equation = self._gaps(states)
        count = sum(values.numel() for _, values in self._faces)
        tau, v = self.log_boundary_precision, self.log_equation_precision
        log_boundary = 0.5 * count * tau - 0.5 * tau.exp() * boundary
        log_equation = 0.5 * self.prior.values.numel() * v - 0.5 * v.exp() * equation
        # The second GP is learned on its own, the first one is then constant.
        log_prior = states[-1].log_prior()
        return -(log_prior + self.settings.boundary_weight * log_boundary + log_equation)

    def predict(self, points: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "*grid"]:
        """Return u on the tensor product of the points of each axis."""
        return sum((p.predict(points) for p in self._priors[1:]), self._priors[0].predict(points))

    def solution(self) -> Solution:
        """Return the present state, with the relative residual at the nodes.

        `converged` is False: the publication has no criterion.
        """
        states = self._states()
        with torch.no_grad():
            boundary, equation = self._gaps(states)
            at_zero = torch.zeros(len(self._jet.orders), *self.grid.shape, dtype=torch.float64)
            size = self._jet.value(at_zero, self._known).square().sum()
        value = torch.stack([prior.values.detach() for prior in self._priors]).sum(0)
        return Solution(
            value=value[None],
            grid=self.grid,
            converged=torch.tensor(False),
            stats={"residual": (equation / size).sqrt(), "boundary": boundary.sqrt()},
            message="joint Adam has no criterion of convergence",
        )

    @property
    def _priors(self) -> list[GridPrior]:
        return [self.prior] if self.extra is None else [self.prior, self.extra]

    def _states(self) -> list[PriorState]:
        return [prior.state() for prior in self._priors]

    def _gaps(self, states: Sequence[PriorState]) -> tuple[Tensor, Tensor]:
        """Return ||U_b - g||² and ||R||², the residual being taken at all nodes, walls included."""
        derivatives = [
            sum((s.derivative(orders) for s in states[1:]), states[0].derivative(orders))
            for orders in self._jet.orders
        ]
        residual = self._jet.value(torch.stack(derivatives), self._known)
        values = sum((prior.values for prior in self._priors[1:]), self._priors[0].values)
        misfits = [(values[index] - given).square().sum() for index, given in self._faces]
        return torch.stack(misfits).sum(), residual.square().sum()


def fit(
    model: GPHM, steps: int, *, callback: Callable[[int, float], None] | None = None
) -> list[float]:
    """Run Adam for a number of steps and return the losses before each.

    Args:
        model: changed in place; calling again starts Adam's averages anew.
        steps: 1e5 to 3e6 in the publication.
        callback: called with the number of the step and its loss.
    """
    change = model.settings.change_point
    switch = steps if change is None else int(change * steps) + 1
    optimizer = _adam(model)
    losses: list[float] = []
    for step in range(steps):
        if step == switch and model.extra is None:
            model.add_extra()
            optimizer = _adam(model)
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if callback is not None:
            callback(step, losses[-1])
    return losses


def _adam(model: GPHM) -> torch.optim.Adam:
    learned = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(learned, lr=model.settings.learning_rate)


def _known_on(grid: Grid, wanted: Sequence, fields: Mapping[str, Tensor | float]) -> Tensor:
    rows = []
    for name, orders in wanted:
        field = fields[name]
        if any(orders) or not isinstance(field, Tensor) or tuple(field.shape) != grid.shape:
            raise ValueError(
                f"field {name} is read with orders {orders} and has shape "
                f"{tuple(getattr(field, 'shape', ()))}, expected its values on the grid "
                f"{grid.shape} without derivatives: give them as a field of their own"
            )
        rows.append(field.double())
    return torch.stack(rows) if rows else torch.zeros(0, *grid.shape, dtype=torch.float64)


def _face(face: Face, value: Tensor | float, grid: Grid) -> tuple[tuple, Tensor]:
    axis, end = face
    if axis not in range(grid.dims) or end not in ("low", "high"):
        raise ValueError(
            f"faces has {face}, expected (axis, end) with an axis below {grid.dims} and an end "
            '"low" or "high"'
        )
    index = (slice(None),) * axis + (0 if end == "low" else -1,)
    shape = torch.Size(n for j, n in enumerate(grid.shape) if j != axis)
    return index, torch.as_tensor(value, dtype=torch.float64).expand(shape)
