import numpy as np
import pytest
import torch

from pdesolve.datasets import NonFiniteError, SchemaError, SplitError, split
from pdesolve.datasets.point_set import PointSet, from_cartesian_product, from_triples

GENERATOR = np.random.default_rng(0)
BRANCH = GENERATOR.normal(size=(6, 4)).astype("float32")
TRUNK = GENERATOR.random((5, 2)).astype("float32")
Y = GENERATOR.normal(size=(6, 5)).astype("float32")


def test_functions_at_the_same_points_are_samples():
    data = from_cartesian_product(BRANCH, TRUNK, Y)
    batch = data.batch([4, 1])
    np.testing.assert_array_equal(batch.x, BRANCH[[4, 1], None])
    np.testing.assert_array_equal(batch.y, Y[[4, 1], None])
    np.testing.assert_array_equal(batch.points, TRUNK)
    assert (data.in_channels, data.out_channels, len(data)) == (1, 1, 6)


def test_several_outputs_lie_on_the_last_axis():
    both = np.stack([Y, 2 * Y], -1)
    batch = from_cartesian_product(BRANCH, TRUNK, both).batch([3])
    np.testing.assert_array_equal(batch.y[0], both[3].T)


def test_triples_are_one_query_a_row():
    batch = from_triples(BRANCH[:5], TRUNK, Y[:5, :1]).batch([1])
    np.testing.assert_array_equal(batch.points, TRUNK[None, 1:2])
    assert batch.y.shape == (1, 1, 1)
    assert batch.y.item() == Y[1, 0]


def test_normalization_is_mean_and_deviation_of_each_channel():
    x = np.stack([BRANCH, np.full_like(BRANCH, 3.0)], 1)
    values = PointSet(x, Y[:, None], TRUNK).normalization()
    assert values["x_mean"][0].item() == pytest.approx(BRANCH.mean(), rel=1e-5)
    assert values["y_std"].item() == pytest.approx(Y.std(), rel=1e-5)
    assert values["x_std"][1] == 1


def test_subsets_and_splits_share_points_and_keep_their_own():
    data = PointSet(BRANCH[:, None], Y[:, None], np.stack([TRUNK + k for k in range(6)]))
    parts = split(data, {"train": 4, "valid": 2})
    assert len(parts["train"]) == 4
    np.testing.assert_array_equal(parts["valid"].batch([1]).points[0], TRUNK + 5)
    with pytest.raises(SplitError, match="0 samples asked for"):
        data.subset([])


def test_the_hash_covers_values_and_positions():
    hashes = {
        from_cartesian_product(BRANCH, TRUNK, Y).data_hash,
        from_cartesian_product(BRANCH, TRUNK, Y + 1).data_hash,
        from_cartesian_product(BRANCH, TRUNK + 1, Y).data_hash,
        from_cartesian_product(BRANCH + 1, TRUNK, Y).data_hash,
    }
    assert len(hashes) == 4
    assert from_cartesian_product(BRANCH, TRUNK, Y).data_hash in hashes


@pytest.mark.parametrize(
    ("branch", "trunk", "y"),
    [
        (BRANCH[:5], TRUNK, Y),
        (BRANCH, TRUNK[:4], Y),
        (BRANCH, TRUNK[:, 0], Y),
        (BRANCH, TRUNK, Y[..., None, None]),
    ],
)
def test_shapes_that_do_not_fit_are_named(branch, trunk, y):
    with pytest.raises(SchemaError, match=r"x \(samples, c_in, m\), y"):
        from_cartesian_product(branch, trunk, y)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteError, match="1 values are NaN"):
        from_cartesian_product(BRANCH, TRUNK, np.where(Y.max() == Y, np.nan, Y))


def test_positions_and_values_come_in_one_precision():
    batch = from_cartesian_product(BRANCH.astype("float64"), TRUNK, Y).batch([0])
    assert batch.x.dtype == batch.y.dtype == batch.points.dtype == torch.float64
