"""The figure by which weights are chosen: the mean relative L2 error of a validation set."""

import torch
from torch import nn

from ..datasets.data import Data
from ..losses import RelativeL2
from .distributed import Place, all_sum
from .objective import predict


def relative_l2(
    model: nn.Module, dataset: Data, place: Place, *, batch_size: int, calls: int = 1
) -> float:
    """Return the mean over all samples (of all processes) of the relative L2 error.

    With several calls of the model the error is that of the rollout, all its frames together.
    The model is evaluated in its own dtype, without autocast, as it will be used.
    """
    # Not a Loader: it repeats samples to give each process as many, and the mean would feel that.
    mine = range(place.data_rank, len(dataset), place.data_world)
    total = 0.0
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(mine), batch_size):
            batch = dataset.batch(mine[start : start + batch_size]).to(place.device)
            prediction = predict(model, batch, calls=calls, fixed=dataset.fixed_channels)
            errors = RelativeL2().per_sample(prediction, batch.y, mask=batch.mask)
            total += errors.sum(dtype=torch.float64).item()
    model.train(training)
    return all_sum([total])[0] / place.patch_processes / len(dataset)
