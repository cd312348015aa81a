"""One optimiser step: gradient over the batches of the step, guard against broken numbers."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ..batch import Batch
from .distributed import Place, all_sum, sharing_patches
from .guard import explain
from .recipe import Recipe

# A batch and where its samples are in the training set.
Numbered = tuple[Batch, Sequence[int]]


@dataclass(frozen=True)
class Step:
    """What a step did: the mean loss of its samples (of all processes), their number, the norm."""

    loss: float
    samples: int
    gradient_norm: float


def take_step(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Sequence[Numbered],
    recipe: Recipe,
    place: Place,
    *,
    number: int,
) -> Step:
    """Change the weights once, by the mean loss over all samples of the batches.

    Args:
        model: what the objective calls, perhaps inside DDP.
        optimizer: of its parameters.
        batches: of this process, accumulated.
        recipe: loss, objective and settings.
        place: device and rank.
        number: of the step, which with the seed determines dropout.

    Raises:
        NonFiniteError: loss or gradient is not finite; the optimiser has not moved the weights.
    """
    done: list[Step] = []

    def closure() -> float:
        # The same for each evaluation of a line search, and for a run that is resumed here.
        torch.manual_seed(seed_of(recipe.settings.seed, number, place.rank))
        optimizer.zero_grad()
        done.append(_gradient(model, batches, recipe, place))
        return done[-1].loss

    optimizer.step(closure)
    # L-BFGS evaluates several times; the first is at the weights that the step began with.
    return done[0]


def _gradient(model: nn.Module, batches: Sequence[Numbered], recipe: Recipe, place: Place) -> Step:
    # Processes that share patches have the same samples, and the same loss.
    samples = all_sum([sum(len(batch) for batch, _ in batches)])[0] / place.patch_processes
    total = torch.zeros((), dtype=torch.float64)
    for i, (batch, _) in enumerate(batches):
        # Processes exchange gradients once a step, with the last batch.
        with nullcontext() if i + 1 == len(batches) else _without_exchange(model):
            loss = _loss(model, batch, recipe)
            # Means of unequal batches do not average to the mean over samples; torch averages
            # gradients over processes, hence the second factor. The gradient of a loss comes in
            # parts, one from each process that shares its patches, which are to be summed too.
            share = len(batch) / samples
            (loss * (share * place.world)).backward()
        total = total + loss.detach().to("cpu", torch.float64) * share
    mean = all_sum([total.item()])[0] / place.patch_processes
    norm = _gradient_norm(model, recipe.settings.clip_norm)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise _broken(model, batches, recipe)
    return Step(mean, int(samples), norm)


def _without_exchange(model: nn.Module) -> AbstractContextManager:
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def _loss(model: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
    half = recipe.settings.precision == "bfloat16"
    with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=half):
        return recipe.objective(model, batch, recipe.loss)


def _gradient_norm(model: nn.Module, clip_norm: float | None) -> float:
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    return norm.item()


def _broken(model: nn.Module, batches: Sequence[Numbered], recipe: Recipe) -> ArithmeticError:
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    evaluate = partial(_loss, recipe=recipe)
    # Alone: processes that share patches may find different causes, and wait for each other.
    with sharing_patches([inner], None):
        errors = [explain(inner, batch, indices, evaluate) for batch, indices in batches]
    return next((e for e in errors if e.samples), errors[0])


def seed_of(*numbers: int) -> int:
    """Return a 63-bit seed that is a function of the numbers only.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
    True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
