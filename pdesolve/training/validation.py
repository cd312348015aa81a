"""The figure by which weights are chosen: the mean relative L2 error of a validation set."""

import torch
from torch import nn

from ..datasets import Dataset
from ..losses import RelativeL2
from .distributed import Place, all_sum
from .objective import predict


def relative_l2(model: nn.Module, dataset: Dataset, place: Place, *, batch_size: int) -> float:
    """Return the mean over all samples (of all processes) of the relative L2 error.

    The model is evaluated in its own dtype, without autocast, as it will be used.
    """
    # Not a Loader: it repeats samples to give each process as many, and the mean would feel that.
    mine = range(place.rank, len(dataset), place.world)
    total = 0.0
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(mine), batch_size):
            batch = dataset.batch(mine[start : start + batch_size]).to(place.device)
            errors = RelativeL2().per_sample(predict(model, batch), batch.y, mask=batch.mask)
            total += errors.sum(dtype=torch.float64).item()
    model.train(training)
    return all_sum([total])[0] / len(dataset)
