import numpy as np
import torch

from pdesolve import Grid
from pdesolve.datasets import from_arrays


def test_each_row_has_channels_of_its_own():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 2, 3, 7)), random.normal(size=(5, 1, 3, 7))
    source = from_arrays(x, y, grid=Grid((3, 7), 1.0, False))._source
    read = source.channels(np.array([4, 0, 4]), np.array([[2, 0], [1, 1], [0, 2]]))
    stored = np.concatenate([x, y], 1)
    expected = np.stack([stored[4][[2, 0]], stored[0][[1, 1]], stored[4][[0, 2]]])
    assert np.array_equal(read.numpy(), expected)
    assert (source.dtype, source.mask(np.array([0]))) == (torch.float64, None)
