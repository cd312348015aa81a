import pytest

from pdesolve.ops.ranks import cp_rank, tt_ranks, tucker_ranks


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.05, (15, 15, 7, 4)), (0.1, (18, 18, 9, 5)), (0.42, (26, 26, 13, 7)), (0.01, (9, 9, 4, 2))],
)
def test_ranks_of_a_fraction_are_the_published_ones(fraction, expected):
    assert tucker_ranks((32, 32, 16, 9), fraction) == expected


def test_a_rank_fraction_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"rank is the share 0\.0, expected > 0"):
        tucker_ranks((4, 4), 0.0)


def test_cp_and_tt_ranks_of_a_share_are_the_published_ones():
    assert cp_rank((32, 32, 16, 9), 0.05) == 83
    assert tt_ranks((32, 32, 16, 9), 0.05) == (15, 12, 6)


def test_a_small_share_keeps_the_layer_axis_at_full_rank_if_joint():
    shape = (4, 64, 64, 64, 33)
    assert tucker_ranks(shape, 0.0025) == (1, 19, 19, 19, 10)
    assert tucker_ranks(shape, 0.0025, joint=True)[0] == 4
    assert tt_ranks(shape, 0.0025, joint=True)[0] == 4


@pytest.mark.parametrize("rank", [4, True, (3, 3), (3, 3, 9), (0, 2, 2)])
def test_ranks_that_do_not_fit_are_refused(rank):
    with pytest.raises(ValueError, match="rank is"):
        tucker_ranks((4, 4, 4), rank)
    assert tucker_ranks((4, 4, 4), [3, 4, 1]) == (3, 4, 1)


def test_given_cp_and_tt_ranks_are_kept():
    assert cp_rank((4, 4, 4), [7]) == 7
    assert tt_ranks((4, 4, 4), (5, 2)) == (5, 2)
