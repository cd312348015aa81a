"""Finite volumes against one-dimensional solutions, balance and symmetry."""

import pytest
import torch
from torch.nn.functional import pad

from pdesolve import Grid
from pdesolve.ops.harmonic_flux import WALLS, conductances, outflow


def medium(grid, samples=1):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(samples, *grid.shape, generator=generator, dtype=torch.float64) + 0.1


def test_the_flux_across_a_jump_halfway_between_points_is_exact():
    # u falls from 1 to 0 in layers of a = 1 and a = 4: the flux a u' is the same everywhere.
    grid = Grid((6, 5), 1.0, False, "cell")
    a = torch.where(torch.arange(6) < 3, 1.0, 4.0).double()[None, :, None].expand(1, 6, 5)
    flux = 1 / (0.5 / 1 + 0.5 / 4)
    centres = (torch.arange(6).double() + 0.5) / 6
    u = torch.where(centres < 0.5, 1 - flux * centres, flux * (1 - centres) / 4)
    field = torch.cat([torch.ones(1).double(), u, torch.zeros(1).double()])
    found = outflow(field[None, :, None].expand(1, 8, 7), conductances(a, grid))
    # Nothing flows along the other axis, where u is constant, walls included.
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-12)


@pytest.mark.parametrize("placement", ["cell", "node"])
def test_what_flows_out_of_all_unknowns_flows_through_the_walls(placement):
    grid = Grid((7, 6), (1.0, 2.0), False, placement)
    faces = conductances(medium(grid), grid)
    rows, columns = faces[0].shape[1] - 1, faces[0].shape[2]
    generator = torch.Generator().manual_seed(1)
    u = torch.rand(1, rows, columns, generator=generator, dtype=torch.float64)
    through = sum(
        (face * edge).sum()
        for face, edge in (
            (faces[0][:, 0], u[:, 0]), (faces[0][:, -1], u[:, -1]),
            (faces[1][:, :, 0], u[:, :, 0]), (faces[1][:, :, -1], u[:, :, -1]),
        )
    )  # fmt: skip
    torch.testing.assert_close(outflow(pad(u, WALLS), faces).sum(), through)


@pytest.mark.parametrize("placement", ["cell", "node"])
def test_the_matrix_is_symmetric_and_positive(placement):
    grid = Grid((6, 7), 1.0, False, placement)
    region = torch.ones(1, 6, 7, dtype=torch.float64)
    region[:, 2:4, 3] = 0
    faces = conductances(medium(grid), grid, region)
    rows, columns = faces[0].shape[1] - 1, faces[0].shape[2]
    units = torch.eye(rows * columns, dtype=torch.float64).reshape(-1, rows, columns)
    inner = region[0, 1:-1, 1:-1] if placement == "node" else region[0]
    matrix = outflow(pad(units * inner, WALLS), faces).mul(inner).flatten(1)
    torch.testing.assert_close(matrix, matrix.T)
    inside = inner.flatten().bool()
    assert float(torch.linalg.eigvalsh(matrix[inside][:, inside])[0]) > 0


def test_between_a_region_and_its_outside_only_the_inner_medium_counts():
    grid = Grid((4, 3), 1.0, False, "cell")
    a = medium(grid)
    region = torch.ones(1, 4, 3, dtype=torch.float64)
    region[:, 2:] = 0
    x, _ = conductances(a, grid, region)
    # Half a spacing to the wall: twice the conductance.
    torch.testing.assert_close(x[:, 2], 2 * a[:, 1] * 16)
