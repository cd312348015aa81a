import numpy as np
import pytest
import torch

from pdesolve.datasets import DataError, SchemaError, SplitError, UnsafeFileError
from pdesolve.datasets.formats import open_point_clouds
from pdesolve.layers import Normalized
from pdesolve.operators import LSMIrregular

RANDOM = np.random.default_rng(0)
XY = RANDOM.random((30, 2, 8)).astype("float32")
SIGMA = RANDOM.random((30, 8)).astype("float32")
CODE = RANDOM.random((5, 8)).astype("float32")


def written(folder, **arrays):
    for name, values in arrays.items():
        np.save(folder / f"Random_UnitCell_{name}_10.npy", values)
    return folder


def test_positions_stress_and_code_come_as_they_were_written(tmp_path):
    folder = written(tmp_path, XY=XY, sigma=SIGMA, rr=CODE)
    test = open_point_clouds(folder, split="test", sizes=(5, 2))
    batch = test.batch([0, 1])
    for row, sample in enumerate((6, 7)):
        np.testing.assert_array_equal(batch.x[row], XY[:, :, sample].T)
        np.testing.assert_array_equal(batch.points[row], XY[:, :, sample])
        np.testing.assert_array_equal(batch.y[row, 0], SIGMA[:, sample])
        np.testing.assert_array_equal(batch.condition[row], CODE[:, sample])
    assert len(open_point_clouds(folder, split="train", sizes=(5, 2))) == 5


def test_an_operator_of_point_clouds_takes_them(tmp_path):
    data = open_point_clouds(written(tmp_path, XY=XY, sigma=SIGMA), split="train", sizes=(5, 2))
    operator = LSMIrregular(2, 1, 8, shape=(16, 16), modes=(6, 5), patch=2, scales=2, heads=2)
    model = Normalized(operator, **data.normalization()).eval()
    batch = data.batch([0, 3])
    with torch.no_grad():
        assert model(batch.x, points=batch.points).shape == batch.y.shape


@pytest.mark.parametrize(
    "arrays", [{"XY": XY}, {"sigma": SIGMA}, {"XY": XY, "sigma": SIGMA[:, :7]}, {"XY": XY, "o": XY}]
)
def test_other_shapes_are_named(tmp_path, arrays):
    with pytest.raises(SchemaError, match="shapes"):
        open_point_clouds(written(tmp_path, **arrays), split="train", sizes=(5, 2))


def test_more_samples_than_there_are_are_refused(tmp_path):
    folder = written(tmp_path, XY=XY, sigma=SIGMA)
    with pytest.raises(SplitError, match=r"splits \(1000, 200\) need 1200 samples"):
        open_point_clouds(folder, split="train")


def test_missing_and_pickled_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no \.npy file"):
        open_point_clouds(tmp_path, split="train")
    np.save(tmp_path / "XY.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UnsafeFileError):
        open_point_clouds(tmp_path, split="train")
