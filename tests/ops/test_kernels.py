import pytest
import torch

from pdesolve.ops.kernels import Core, Dense, Diagonal, Factored, block

MODES = pytest.mark.parametrize("k", [(5,), (3, 4), (2, 3, 4)])


@pytest.fixture
def random(generator, device):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.complex128).to(device)

    return draw


def applied(kernel, rows):
    return torch.complex(*kernel((rows.real, rows.imag)))


def planes(tensor, axis):
    return torch.stack([tensor.real, tensor.imag], axis)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@MODES
def test_dense_and_core_are_the_complex_product_for_each_mode(k, random):
    rows, matrices = random(*k, 3, 4), random(*k, 4, 5)
    close(applied(Dense(torch.view_as_real(matrices)), rows), rows @ matrices)
    close(applied(Core(planes(matrices, -3)), rows), rows @ matrices)


@MODES
def test_diagonal_is_the_complex_product_with_each_channel(k, random):
    rows, numbers = random(*k, 3, 4), random(*k, 4)
    close(applied(Diagonal(planes(numbers, -2)), rows), rows * numbers.unsqueeze(-2))


@MODES
@pytest.mark.parametrize("right", [True, False])
def test_factored_is_the_product_of_left_core_and_right(k, right, random):
    rows, left, core, last = random(*k, 3, 4), random(4, 2), random(*k, 2, 5), random(5, 6)
    kernel = Factored(
        block(torch.view_as_real(left)),
        Core(planes(core, -3)),
        block(torch.view_as_real(last)) if right else None,
    )
    expected = rows @ left @ core
    close(applied(kernel, rows), expected @ last if right else expected)


@pytest.mark.parametrize(("rank", "folded"), [(2, False), (7, True)])
@pytest.mark.parametrize("diagonal", [True, False])
def test_the_cheapest_form_is_the_same_map_folded_if_ranks_are_large(
    rank, folded, diagonal, random
):
    rows, left, right = random(3, 4, 2, 6), random(6, rank), random(rank, 6)
    core = random(3, 4, rank) if diagonal else random(3, 4, rank, rank)
    kernel = Factored(
        block(torch.view_as_real(left)),
        Diagonal(planes(core, -2)) if diagonal else Core(planes(core, -3)),
        block(torch.view_as_real(right)),
    )
    cheapest = kernel.cheapest()
    assert isinstance(cheapest, Core) == folded
    close(applied(cheapest, rows), applied(kernel, rows))


def test_a_block_maps_parts_side_by_side(random):
    rows, matrix = random(3, 4), random(4, 5)
    found = planes(rows, -2).flatten(-2) @ block(torch.view_as_real(matrix))
    close(torch.complex(*found.tensor_split(2, -1)), rows @ matrix)
