import numpy as np
import pytest
import torch

from pdesolve.datasets import open_dataset


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_holds_what_was_written(kinds, stored, in_memory, dtype):
    dataset = open_dataset(stored, in_memory=in_memory, dtype=dtype)
    batch = dataset.batch([5, 0, 3])
    assert batch.x.dtype == batch.y.dtype == batch.condition.dtype == dtype
    assert dataset.input_names == ("coefficient", "velocity_x", "velocity_y", "distance")
    for position, index in enumerate([5, 0, 3]):
        sample = kinds.sample(index)
        x = np.stack([sample["coefficient"], *np.moveaxis(sample["velocity"], -1, 0)])
        assert np.array_equal(batch.x[position, :3].numpy(), x.astype(batch.x.numpy().dtype))
        assert np.allclose(batch.x[position, 3].numpy(), kinds.distance, atol=1e-7)
        assert np.array_equal(batch.y[position, 0].numpy(), sample["solution"])
        assert batch.condition[position].tolist() == [0.5 * index]
