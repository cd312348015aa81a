import numpy as np
import pytest

from pdesolve.datasets.statistics import Moments, field_moments, merge, plain, restored


def test_large_mean_and_small_spread_in_float32_lose_nothing():
    # 1000 ± 1, where a float32 sum of squares would have no digit left.
    signs = np.resize([1.0, -1.0], (100, 32, 32))
    samples = (1000 + signs).astype("float32")
    moments = merge(field_moments(one, 2, time_varying=False)[""] for one in samples)
    assert moments.mean == pytest.approx(1000, rel=1e-12)
    assert moments.std == pytest.approx(1, rel=1e-6)
    assert moments.rms == pytest.approx(np.sqrt(1000**2 + 1), rel=1e-12)
    assert (moments.minimum, moments.maximum, moments.count) == (999, 1001, 102400)


def test_random_data_of_mean_1000_keep_their_spread():
    values = np.random.default_rng(0).normal(1000, 1, (500, 41)).astype("float32")
    moments = merge(Moments.of(block[:, None]) for block in values)
    assert moments.std == pytest.approx(values.astype("float64").std(), rel=1e-9)


@pytest.mark.parametrize("pieces", [1, 2, 7, 30])
def test_merging_equals_the_whole(pieces):
    values = np.random.default_rng(1).normal([3, -7], [1, 50], (30, 2))
    merged = merge(Moments.of(part) for part in np.array_split(values, pieces))
    assert np.allclose(merged.mean, values.mean(0), rtol=1e-12)
    assert np.allclose(merged.std, values.std(0), rtol=1e-12)
    assert np.array_equal(merged.minimum, values.min(0))
    assert np.array_equal(merged.maximum, values.max(0))


def test_repeated_values_count_as_often():
    values = np.random.default_rng(2).normal(3, 2, (7, 2))
    repeated, written_out = Moments.of(values).repeated(3), Moments.of(np.tile(values, (3, 1)))
    assert (repeated.count, written_out.count) == (21, 21)
    assert np.allclose(repeated.std, written_out.std, rtol=1e-12)


def test_steps_in_time_have_moments_of_their_own():
    # u = 2t + 3 at t = 0..4, the same everywhere: steps are 2 without spread.
    sample = (2.0 * np.arange(5) + 3)[:, None, None] * np.ones((5, 3, 4))
    values = plain(field_moments(sample, 2, time_varying=True), 0)
    assert (values["mean"], values["std"]) == (7.0, pytest.approx(np.sqrt(8), rel=1e-12))
    assert (values["mean_delta"], values["std_delta"], values["rms_delta"]) == (2.0, 0.0, 2.0)


def test_steady_field_has_no_steps():
    assert set(field_moments(np.ones((1, 3)), 1, time_varying=True)) == {""}


def test_points_outside_the_mask_do_not_count():
    sample = np.array([[1.0, 100.0], [3.0, -100.0]])
    mask = np.array([[True, False], [True, False]])
    values = plain(field_moments(sample, 2, time_varying=False, mask=mask), 0)
    assert (values["mean"], values["std"], values["max"], values["count"]) == (2, 1, 3, 2)


def test_vector_has_numbers_for_each_component():
    sample = np.stack([np.full((3, 4), 2.0), np.full((3, 4), -5.0)], -1)
    values = plain(field_moments(sample, 2, time_varying=False), 1)
    assert values["mean"] == [2.0, -5.0]


@pytest.mark.parametrize("order", [0, 1])
def test_plain_statistics_restore(order):
    sample = np.random.default_rng(2).normal(size=(4, 3, 5, 2)[: 3 + order])
    moments = field_moments(sample, 2, time_varying=True)
    again = plain(restored(plain(moments, order)), order)
    for key, value in plain(moments, order).items():
        assert np.allclose(again[key], value, rtol=1e-12)
