"""Steady heat conduction in a plate with holes, heated from below and cooled everywhere else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid
from ..solution import Solution

# d(field, orders): any differentiation rule.
Derivative = Callable[[Tensor, tuple[int, int, int]], Tensor]

# Rounding of stored float32 values.
_EXCESS = 1e-5


@dataclass(frozen=True)
class Heat3d:
    """Temperature T above that of the surroundings, in a plate with a row of round holes.

        -k ΔT = f            in the plate
        T = bottom           on its lower face z = 0
        -k ∂T/∂n = h T       on its upper face z = L_z and on the walls of the holes
        ∂T/∂n = 0            on its four sides

    The holes go through the plate along z, in a row along x: n of them at x = (i + 1/2) L_x / n
    and y = `position`. Outside the plate T is 0. A sample's design is told by the parameters
    `holes` and `position`, and by the input `mask`, 1 in the plate and 0 in the holes.

    Args:
        conductivity: k, power/(length temperature), > 0.
        transfer: h, power/(length² temperature), >= 0; 0 insulates.
        bottom: temperature of the lower face.
        radius: of the holes, length.
        holes: numbers of holes to draw from.
        positions: values of y to draw from, length.
        position_range: least and largest y, between which any is drawn; () draws from `positions`.
            So few designs repeat themselves, in a training split and in the test split alike.

    The numbers of holes and the positions are published; the plate (10 x 2.5 x 0.5 fits them),
    its material and its boundary conditions are this package's.

    Source of the 64 designs: Kumar et al. 2024, multi-task DeepONet, arXiv:2408.02198, its code.
    """

    conductivity: float = 1.0
    transfer: float = 2.0
    bottom: float = 1.0
    radius: float = 0.35
    holes: Sequence[int] = tuple(range(2, 10))
    positions: Sequence[float] = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)
    position_range: Sequence[float] = ()

    inputs: ClassVar[tuple[str, ...]] = ("mask",)
    outputs: ClassVar[tuple[str, ...]] = ("temperature",)
    parameters: ClassVar[tuple[str, ...]] = ("holes", "position")
    units: ClassVar[dict[str, str]] = {"mask": "1", "temperature": "1"}

    def __post_init__(self):
        for name in ("holes", "positions", "position_range"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.position_range and (
            len(self.position_range) != 2 or self.position_range[0] >= self.position_range[1]
        ):
            raise ValueError(
                f"position_range is {self.position_range}, expected the least and the largest "
                "position, or () to draw from positions"
            )
        if not (self.conductivity > 0 and self.transfer >= 0 and self.bottom != 0):
            raise ValueError(
                f"conductivity is {self.conductivity}, transfer {self.transfer} and bottom "
                f"{self.bottom}, expected a number > 0, one >= 0 and one that is not 0"
            )

    def random_inputs(
        self, grid: Grid, generators: Sequence[torch.Generator]
    ) -> dict[str, Float[Tensor, "b ..."]]:
        """Return {"mask": (b, n, m, l), "holes": (b,), "position": (b,)}, float64.

        One design for each generator, drawn uniformly, the same on every grid.
        """
        drawn = [(_one_of(self.holes, one), self._random_position(one)) for one in generators]
        masks = torch.stack([self.plate(grid, *design) for design in drawn])
        designs = torch.tensor(drawn, dtype=masks.dtype)
        return {"mask": masks, "holes": designs[:, 0], "position": designs[:, 1]}

    def _random_position(self, generator: torch.Generator) -> float:
        if not self.position_range:
            return _one_of(self.positions, generator)
        low, high = self.position_range
        share = torch.rand((), generator=generator, dtype=torch.float64, device=generator.device)
        return low + (high - low) * float(share)

    def plate(self, grid: Grid, holes: int, position: float) -> Float[Tensor, "n m l"]:
        """Return 1 at the points in the plate and 0 in its holes, float64."""
        x, y, _ = grid.coordinates()
        pitch = grid.lengths[0] / holes
        # Every x is at most half a pitch from the axis of its own hole.
        from_axis = x - (torch.floor(x / pitch).clamp(max=holes - 1) + 0.5) * pitch
        return (from_axis**2 + (y - position) ** 2 > self.radius**2).double()

    def residual(self, d: Derivative, temperature, *, source=None) -> Tensor:
        """Return -k ΔT - f at every point; right in the plate, away from its walls."""
        orders = ((2, 0, 0), (0, 2, 0), (0, 0, 2))
        laplacian = d(temperature, orders[0]) + d(temperature, orders[1])
        laplacian = laplacian + d(temperature, orders[2])
        residual = -self.conductivity * laplacian
        return residual if source is None else residual - d(source, (0, 0, 0))

    @torch.no_grad()
    def solve(
        self,
        *,
        mask: Float[Tensor, "b n m l"],
        grid: Grid,
        source: Float[Tensor, "b n m l"] | None = None,
        holes: Float[Tensor, " b"] | None = None,
        position: Float[Tensor, " b"] | None = None,
        tolerance: float = 1e-8,
        max_iterations: int = 10000,
        raise_on_failure: bool = True,
    ) -> Solution:
        """Return T by finite volumes and conjugate gradients, sample by sample.

        No gradient flows through. Cells exchange k (T_i - T_j) / spacing per area; to the
        surroundings a cell loses T / (half a spacing / k + 1 / h). Exact where T is linear between
        flat walls; round walls become stairs, an error of first order.

        Args:
            mask: 1 in the plate and 0 elsewhere; holes of any shape. The result has its dtype, the
                work is in float64 on the CPU.
            grid: three axes of cells.
            source: f, by default 0.
            holes, position: the design, which the mask already tells; not read.
            tolerance: of the relative residual.
            max_iterations: for each sample.
            raise_on_failure: False returns what was reached, with `converged` False.

        Returns:
            Solution with value (b, 1, n, m, l) and stats residual and iterations, each (b,).

        Raises:
            ValueError: the grid is no such grid, or the mask does not lie on it or has values
                other than 0 and 1.
            ConvergenceError: a sample did not reach the tolerance.
        """
        del holes, position
        _check(mask, grid)
        plate = mask.cpu() == 1
        value = torch.zeros(mask.shape, dtype=torch.float64)
        residual = torch.zeros(len(mask), dtype=torch.float64)
        iterations = torch.zeros(len(mask), dtype=torch.int64)
        for i, inside in enumerate(plate):
            matrix, rhs = self._system(inside.numpy(), grid)
            if source is not None:
                rhs = rhs + source[i].double().cpu().numpy()[inside.numpy()]
            steps = []
            diagonal = scipy.sparse.diags(1 / matrix.diagonal())
            found, _ = scipy.sparse.linalg.cg(
                matrix, rhs, rtol=tolerance / 2, maxiter=max_iterations, M=diagonal,
                callback=steps.append,
            )  # fmt: skip
            value[i][inside] = torch.from_numpy(found)
            residual[i] = float(np.linalg.norm(rhs - matrix @ found) / np.linalg.norm(rhs))
            iterations[i] = len(steps)
        converged = residual <= tolerance
        return Solution(
            value=value[:, None].to(mask),
            grid=grid,
            converged=converged.to(mask.device),
            stats={
                "residual": residual.to(mask.device),
                "iterations": iterations.to(mask.device),
            },
            message="converged"
            if bool(converged.all())
            else f"relative residual {float(residual.max()):.1e} where {tolerance:.1e} was asked: "
            f"allow more than {max_iterations} iterations or a larger tolerance",
        ).checked(raise_on_failure=raise_on_failure)

    @torch.no_grad()
    def relative_residual(
        self,
        temperature: Float[Tensor, "b n m l"],
        *,
        mask: Float[Tensor, "b n m l"],
        grid: Grid,
        holes: Float[Tensor, " b"] | None = None,
        position: Float[Tensor, " b"] | None = None,
    ) -> Float[Tensor, " b"]:
        """Return ||r - A T||_2 / ||r||_2 of the balance of all cells of the plate, for f = 0.

        A T is the heat that leaves a cell and r what the lower face brings; in float64. What T
        is in the holes does not count.

        Raises:
            ValueError: as `solve`.
        """
        del holes, position
        _check(mask, grid)
        found = []
        for t, inside in zip(temperature.double().cpu(), mask.cpu() == 1, strict=True):
            matrix, rhs = self._system(inside.numpy(), grid)
            balance = rhs - matrix @ t[inside].numpy()
            found.append(float(np.linalg.norm(balance) / np.linalg.norm(rhs)))
        return torch.tensor(found, dtype=torch.float64, device=temperature.device)

    def check(
        self, fields: dict[str, Tensor], grid: Grid
    ) -> list[tuple[str, Bool[Tensor, " b"], str]]:
        """Return known invariants as (name, suspicious samples, sentence).

        Args:
            fields: "temperature" and "mask", each (b, n, m, l); those that are missing are not
                checked.
        """
        del grid
        if "temperature" not in fields:
            return []
        share = (fields["temperature"].double() / self.bottom).flatten(1)
        between = (share.amin(1) >= -_EXCESS) & (share.amax(1) <= 1 + _EXCESS)
        sentence = "a temperature is not between those of the surroundings and the lower face"
        found = [("maximum principle", ~between, sentence)]
        if "mask" in fields:
            outside = (share * (1 - fields["mask"].double().flatten(1))).abs().amax(1)
            found.append(("mask", ~(outside == 0), "a temperature is not 0 in a hole"))
        return found

    def manufactured(self, grid: Grid) -> dict[str, Float[Tensor, "1 n m l"]]:
        """Return mask, source and temperature of a plate without holes, by formula, float64.

        T = bottom (1 - z h/(k + h L_z)) + g(z) cos(πx/L_x) cos(2πy/L_y)
        g(z) = z - c z²,   c = (k + h L_z) / (2 k L_z + h L_z²)
        """
        k, h, height = self.conductivity, self.transfer, grid.lengths[2]
        x, y, z = grid.coordinates()
        kx, ky = math.pi / grid.lengths[0], 2 * math.pi / grid.lengths[1]
        c = (k + h * height) / (2 * k * height + h * height**2)
        wave, g = torch.cos(kx * x) * torch.cos(ky * y), z - c * z**2
        temperature = self.bottom * (1 - z * h / (k + h * height)) + g * wave
        source = k * ((kx**2 + ky**2) * g + 2 * c) * wave
        fields = {"mask": torch.ones_like(x), "source": source, "temperature": temperature}
        return {name: field[None] for name, field in fields.items()}

    def _system(self, inside: np.ndarray, grid: Grid) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
        """Return the balance of the cells of the plate, per volume: matrix and right-hand side."""
        k, h = self.conductivity, self.transfer
        number = np.full(inside.shape, -1)
        number[inside] = np.arange(inside.sum())
        diagonal, rhs = np.zeros(inside.shape), np.zeros(inside.shape)
        rows, columns, values = [], [], []
        for axis, spacing in enumerate(grid.spacing):
            exchange = k / spacing**2
            loss = 0.0 if h == 0 else 1 / (spacing / (2 * k) + 1 / h) / spacing
            first = tuple(slice(-1) if j == axis else slice(None) for j in range(3))
            second = tuple(slice(1, None) if j == axis else slice(None) for j in range(3))
            both = inside[first] & inside[second]
            pairs = number[first][both], number[second][both]
            rows += [*pairs]
            columns += [*pairs[::-1]]
            values += [np.full(both.sum(), -exchange)] * 2
            for here, there in ((first, second), (second, first)):
                diagonal[here] += np.where(inside[there], exchange, loss)
        up = 1 / grid.spacing[2]
        bottom = 2 * k * up**2
        diagonal[..., 0] += bottom
        rhs[..., 0] = bottom * self.bottom
        diagonal[..., -1] += 0.0 if h == 0 else up / (1 / (2 * k * up) + 1 / h)
        everyone = np.arange(inside.sum())
        triples = [*values, diagonal[inside]], ([*rows, everyone], [*columns, everyone])
        entries = np.concatenate(triples[0])
        places = tuple(np.concatenate(part) for part in triples[1])
        return scipy.sparse.csr_matrix((entries, places)), rhs[inside]


def _one_of(values: Sequence, generator: torch.Generator):
    return values[int(torch.randint(len(values), (), generator=generator, device=generator.device))]


def _check(mask: Tensor, grid: Grid) -> None:
    if grid.dims != 3 or grid.placement != "cell" or any(grid.periodic):
        raise ValueError(
            f"grid has {grid.dims} axes of {grid.placement}s with periodic {grid.periodic}, "
            'expected three axes of cells: Grid((n, m, l), lengths, False, "cell")'
        )
    if tuple(mask.shape[1:]) != grid.shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, expected (b, *grid) with grid {grid.shape}"
        )
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError("mask has a value between, expected 1 in the plate and 0 in holes")
