"""Heat in a plate with holes against formulas, a dense balance cell by cell, and its designs."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import difference
from pdesolve.pde import Heat3d

PLATE = Grid((40, 10, 4), (10.0, 2.5, 0.5), False, "cell")


def generators(samples: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(samples)]


def relative(difference_: torch.Tensor, to: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(difference_) / torch.linalg.vector_norm(to))


def dense_solution(law: Heat3d, mask: np.ndarray, grid: Grid) -> torch.Tensor:
    """Balance every cell with its six neighbours by resistances in series."""
    cells = [tuple(c) for c in np.argwhere(mask == 1)]
    number = {cell: row for row, cell in enumerate(cells)}
    matrix, rhs = np.zeros((len(cells), len(cells))), np.zeros(len(cells))
    for cell, row in number.items():
        for axis, side in itertools.product(range(3), (-1, 1)):
            there = tuple(c + side * (j == axis) for j, c in enumerate(cell))
            half = grid.spacing[axis] / 2 / law.conductivity
            if there in number:
                conductance = 1 / (2 * half)
                matrix[row, number[there]] -= conductance / grid.spacing[axis]
            elif axis == 2 and there[2] < 0:
                conductance = 1 / half
                rhs[row] += conductance * law.bottom / grid.spacing[axis]
            elif axis < 2 and not 0 <= there[axis] < grid.shape[axis]:
                conductance = 0.0
            else:
                conductance = 1 / (half + 1 / law.transfer)
            matrix[row, row] += conductance / grid.spacing[axis]
    found = torch.zeros(grid.shape, dtype=torch.float64)
    found[torch.from_numpy(mask == 1)] = torch.from_numpy(np.linalg.solve(matrix, rhs))
    return found


def test_temperature_is_that_of_a_dense_balance(device):
    law = Heat3d(conductivity=1.5, transfer=0.7, bottom=-2.0, radius=0.5)
    grid = Grid((12, 7, 3), (3.0, 2.5, 0.6), False, "cell")
    masks = torch.stack([law.plate(grid, 2, 1.0), law.plate(grid, 1, 1.6)])
    value = law.solve(mask=masks.to(device), grid=grid, tolerance=1e-12).value
    assert value.shape == (2, 1, 12, 7, 3)
    for i in range(2):
        expected = dense_solution(law, masks[i].numpy(), grid)
        assert relative(value[i, 0].cpu() - expected, expected) < 1e-10


def test_a_plate_without_holes_has_a_linear_profile():
    law, grid = (
        Heat3d(conductivity=2.0, transfer=3.0),
        Grid((3, 4, 5), (1.0, 1.0, 0.5), False, "cell"),
    )
    mask = torch.ones(1, 3, 4, 5, dtype=torch.float64)
    value = law.solve(mask=mask, grid=grid, tolerance=1e-12).value[0, 0]
    # Resistances in series: 0.5 / 2 and 1 / 3.
    expected = 1 - grid.coordinates()[2] / 2 / (0.25 + 1 / 3)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)


def test_without_transfer_the_plate_is_as_warm_as_its_bottom():
    law = Heat3d(transfer=0.0)
    fields = law.random_inputs(PLATE, generators(1))
    value = law.solve(**fields, grid=PLATE, tolerance=1e-10).value[:, 0]
    torch.testing.assert_close(value, fields["mask"], rtol=1e-7, atol=0)


def test_manufactured_temperature_is_met_with_second_order():
    law, errors = Heat3d(), []
    for n in (8, 16, 32):
        grid = Grid((n, n + 4, n // 2), (2.0, 1.5, 0.7), False, "cell")
        exact = law.manufactured(grid)
        value = law.solve(mask=exact["mask"], source=exact["source"], grid=grid).value[:, 0]
        errors.append(relative(value - exact["temperature"], exact["temperature"]))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert min(orders) > 1.7 and errors[-1] < 1e-3


def test_pointwise_residual_of_the_manufactured_temperature_vanishes_with_second_order():
    law, sizes = Heat3d(conductivity=0.8), []
    for n in (16, 32):
        grid = Grid((n, n, n), (2.0, 1.5, 0.7), False, "cell")
        exact = law.manufactured(grid)
        residual = law.residual(
            lambda u, orders, grid=grid: difference.derivative(u, orders, grid),
            exact["temperature"], source=exact["source"],
        )  # fmt: skip
        sizes.append(
            float(torch.linalg.vector_norm(residual) / torch.linalg.vector_norm(exact["source"]))
        )
    assert sizes[1] < 0.02 and math.log2(sizes[0] / sizes[1]) > 1.7


def test_heat_in_is_heat_out():
    law = Heat3d()
    fields = law.random_inputs(PLATE, generators(1))
    mask = fields["mask"][0].bool()
    t = law.solve(**fields, grid=PLATE, tolerance=1e-11).value[0, 0]
    h = PLATE.spacing
    heat_in = (2 * (1 - t[..., 0]) / h[2] * mask[..., 0]).sum() * h[0] * h[1]
    lost = t[..., -1][mask[..., -1]].sum() / (h[2] / 2 + 1 / law.transfer) * h[0] * h[1]
    for axis, area in ((0, h[1] * h[2]), (1, h[0] * h[2])):
        first, second = t.narrow(axis, 0, t.shape[axis] - 1), t.narrow(axis, 1, t.shape[axis] - 1)
        a, b = (mask.narrow(axis, i, t.shape[axis] - 1) for i in (0, 1))
        at_walls = first[a & ~b].sum() + second[b & ~a].sum()
        lost = lost + at_walls * area / (h[axis] / 2 + 1 / law.transfer)
    assert float(heat_in) == pytest.approx(float(lost), rel=1e-8)


@pytest.mark.parametrize("holes", [2, 9])
def test_holes_take_their_share_of_the_plate(holes):
    grid = Grid((400, 100, 2), (10.0, 2.5, 0.5), False, "cell")
    mask = Heat3d().plate(grid, holes, 1.1)
    expected = 1 - holes * math.pi * 0.35**2 / 25
    assert float(mask.mean()) == pytest.approx(expected, abs=2e-3)
    # The axis of the first hole, and the row's mirror image.
    assert float(mask[round(400 / holes / 2), 44, 0]) == 0
    torch.testing.assert_close(mask, mask.flip(0))


def test_random_designs_are_the_published_ones():
    grid = Grid((8, 4, 1), (10.0, 2.5, 0.5), False, "cell")
    fields = Heat3d().random_inputs(grid, generators(300))
    assert fields["holes"].unique().tolist() == list(range(2, 10))
    assert fields["position"].unique().tolist() == pytest.approx([0.9 + i / 10 for i in range(8)])


def test_positions_between_two_bounds_never_repeat():
    equation = Heat3d(position_range=(0.9, 1.6))
    grid = Grid((4, 4, 2), (10.0, 2.5, 0.5), False, "cell")
    generators = [torch.Generator().manual_seed(seed) for seed in range(400)]
    drawn = equation.random_inputs(grid, generators)
    position = drawn["position"]
    assert float(position.min()) >= 0.9 and float(position.max()) <= 1.6
    assert len(position.unique()) == 400
    # Uniform: mean 1.25, standard deviation 0.7 / √12; three standard errors.
    assert float(position.mean()) == pytest.approx(1.25, abs=3 * 0.7 / 12**0.5 / 20)
    assert drawn["holes"].unique().tolist() == list(range(2, 10))


def test_relative_residual_is_zero_for_the_solution_and_only_for_it():
    law = Heat3d()
    fields = law.random_inputs(PLATE, generators(2))
    t = law.solve(**fields, grid=PLATE, tolerance=1e-11).value[:, 0]
    assert float(law.relative_residual(t, **fields, grid=PLATE).max()) < 1e-10
    found = law.relative_residual(0.9 * t, **fields, grid=PLATE)
    assert found.tolist() == pytest.approx([0.1, 0.1])
    swapped = fields | {"mask": fields["mask"].flip(0)}
    assert float(law.relative_residual(t, **swapped, grid=PLATE).min()) > 0.1


def test_check_names_suspicious_samples():
    law = Heat3d()
    fields = law.random_inputs(PLATE, generators(3))
    t = law.solve(**fields, grid=PLATE).value[:, 0]
    t[1] += 0.5 * (1 - fields["mask"][1])
    t[2] *= math.nan
    found = law.check({"mask": fields["mask"], "temperature": t}, PLATE)
    assert {name: flags.tolist() for name, flags, _ in found} == {
        "maximum principle": [False, False, True],
        "mask": [False, True, True],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solution_has_the_dtype_of_the_mask(dtype):
    law = Heat3d()
    fields = law.random_inputs(PLATE, generators(1))
    value = law.solve(mask=fields["mask"].to(dtype), grid=PLATE).value
    assert value.dtype == dtype and float(value.amax()) <= 1


def test_missing_convergence_is_an_error():
    with pytest.raises(ConvergenceError, match=r"1 of 1 samples .* more than 2 iterations"):
        Heat3d().solve(mask=torch.ones(1, *PLATE.shape), grid=PLATE, max_iterations=2)


def test_equation_is_rebuilt_from_json():
    law = Heat3d(holes=(3, 4))
    assert Heat3d(**json.loads(json.dumps(dataclasses.asdict(law)))) == law


@pytest.mark.parametrize(
    ("grid", "value", "message"),
    [
        (Grid((4, 4, 4), 1.0, False), 1.0, "expected three axes of cells"),
        (Grid((4, 4, 5), 1.0, False, "cell"), 1.0, r"mask has shape \(1, 4, 4, 4\)"),
        (Grid((4, 4, 4), 1.0, False, "cell"), 0.5, "a value between"),
    ],
    ids=str,
)
def test_wrong_grids_and_masks_are_refused(grid, value, message):
    with pytest.raises(ValueError, match=message):
        Heat3d().solve(mask=torch.full((1, 4, 4, 4), value), grid=grid)


def test_a_range_needs_two_ends():
    with pytest.raises(ValueError, match=r"position_range is \(1\.6, 0\.9\), expected the least"):
        Heat3d(position_range=(1.6, 0.9))


def test_wrong_constants_are_refused():
    with pytest.raises(ValueError, match=r"conductivity is 0\.0"):
        Heat3d(conductivity=0.0)
