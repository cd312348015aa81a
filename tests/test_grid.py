import pytest
import torch

from pdesolve import Grid

PUBLISHED_DARCY = Grid((16, 16), 1.0, False, offset=1 / 1024)


@pytest.mark.parametrize("n", [4, 5])
def test_periodic_axis_excludes_its_right_end(n):
    grid = Grid((n,), 3.0, True)
    torch.testing.assert_close(grid.axis(0), torch.linspace(0, 3, n + 1, dtype=torch.float64)[:-1])
    assert grid.spacing == (3.0 / n,)


@pytest.mark.parametrize("n", [4, 5])
def test_node_axis_stores_both_ends(n):
    torch.testing.assert_close(
        Grid((n,), 3.0, False).axis(0), torch.linspace(0, 3, n, dtype=torch.float64)
    )


def test_cells_are_stored_at_their_centres():
    assert Grid((4,), 2.0, False, "cell").axis(0).tolist() == [0.25, 0.75, 1.25, 1.75]


def test_published_darcy_nodes_lie_at_one_plus_64_i_over_1024():
    assert (PUBLISHED_DARCY.axis(1) * 1024).tolist() == [1 + 64 * i for i in range(16)]


def test_coordinates_put_x_on_the_first_axis():
    x, y = Grid((2, 3), (1.0, 4.0), False).coordinates()
    assert x.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert y.tolist() == [[0, 2, 4], [0, 2, 4]]


@pytest.mark.parametrize(
    "grid",
    [
        Grid((9, 13), (1.0, 2.0), False),
        Grid((8, 12), 1.0, True),
        Grid((9, 15), 1.0, False, "cell"),
        PUBLISHED_DARCY,
    ],
)
def test_a_strided_grid_keeps_points_of_the_grid(grid):
    for stride in grid.strides:
        kept = grid.coordinates()[(slice(None), *[grid.stride_slice(stride)] * grid.dims)]
        torch.testing.assert_close(grid.strided(stride).coordinates(), kept)
    assert len(grid.strides) > 1


def test_an_impossible_stride_is_refused_with_the_legal_ones():
    with pytest.raises(ValueError, match=r"stride 3 .* choose one of \[1, 2, 4, 8, 16\]"):
        Grid((17, 17), 1.0, False).strided(3)


@pytest.mark.parametrize(
    "grid",
    [
        Grid((8, 8), 1.0, True),
        Grid((9, 9), 1.0, True),
        Grid((5, 5), 1.0, False),
        Grid((6, 6), 1.0, False, "cell"),
        Grid((4, 4), 1.0, False, offset=1 / 8),
        Grid((4, 5), 1.0, (True, False)),
    ],
)
def test_symmetries_map_coordinates_to_mirrored_coordinates(grid):
    lengths = torch.tensor(grid.lengths, dtype=torch.float64).view(-1, *[1] * grid.dims)
    here = grid.coordinates()
    for symmetry in grid.symmetries:
        there = symmetry(here)
        expected = here.clone()
        for axis, source in enumerate(symmetry.permutation):
            # Where coordinate `axis` was sampled before is now axis `axis`'s own mirrored position.
            mirrored = lengths[axis] - here[axis] if symmetry.reflected[axis] else here[axis]
            expected[source] = mirrored % lengths[axis] if grid.periodic[axis] else mirrored
        torch.testing.assert_close(there, expected)


@pytest.mark.parametrize(
    ("grid", "count"),
    [
        (Grid((8, 8), 1.0, True), 8),
        (Grid((5, 5), 1.0, False), 8),
        (Grid((5, 6), 1.0, False), 4),
        (Grid((4, 4, 4), 1.0, True), 48),
        (Grid((4, 4), (1.0, 2.0), True), 4),
        (PUBLISHED_DARCY, 2),
    ],
)
def test_number_of_symmetries(grid, count):
    assert len(grid.symmetries) == count


def test_published_darcy_grid_allows_only_the_transposition():
    assert [s.permutation for s in PUBLISHED_DARCY.symmetries] == [(0, 1), (1, 0)]
    assert not any(any(s.reflected) for s in PUBLISHED_DARCY.symmetries)


def test_a_grid_is_rebuilt_from_plain_values():
    assert Grid(**PUBLISHED_DARCY.as_dict()) == PUBLISHED_DARCY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (), "lengths": 1.0, "periodic": True}, "expected one axis or more"),
        ({"shape": (0,), "lengths": 1.0, "periodic": True}, "expected one axis or more"),
        ({"shape": (4,), "lengths": 0.0, "periodic": True}, r"lengths\[0\] is 0.0"),
        ({"shape": (4, 4), "lengths": (1.0,), "periodic": True}, "lengths has 1 entries"),
        (
            {"shape": (4,), "lengths": 1.0, "periodic": True, "offset": 0.3},
            r"offset\[0\] is 0.3, expected 0 <= offset < 0.25",
        ),
        (
            {"shape": (4,), "lengths": 1.0, "periodic": False, "placement": "cell", "offset": 0.1},
            "expected 0: cell centres are fixed",
        ),
    ],
)
def test_a_grid_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Grid(**arguments)
