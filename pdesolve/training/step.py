"""One optimiser step: gradient over the batches of the step, guard against broken numbers."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ..batch import Batch
from .distributed import all_sum
from .guard import explain
from .objective import Loss, Objective
from .settings import Settings

# A batch and where its samples are in the training set.
Numbered = tuple[Batch, Sequence[int]]


@dataclass(frozen=True)
class Measure:
    """(model, batch) -> loss, under autocast if the settings say so."""

    objective: Objective
    loss: Loss
    half: bool
    device_type: str

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast(self.device_type, torch.bfloat16, enabled=self.half):
            return self.objective(model, batch, self.loss)


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
    measure: Measure,
    *,
    number: int,
    rank: int,
    settings: Settings,
) -> Step:
    """Change the weights once, by the mean loss over all samples of the batches.

    Raises:
        NonFiniteError: loss or gradient is not finite; the optimiser has not moved the weights.
    """
    done: list[Step] = []

    def closure() -> float:
        # The same for each evaluation of a line search, and for a run that is resumed here.
        torch.manual_seed(seed_of(settings.seed, number, rank))
        optimizer.zero_grad()
        done.append(_gradient(model, batches, measure, settings.clip_norm))
        return done[-1].loss

    optimizer.step(closure)
    # L-BFGS evaluates several times; the first is at the weights that the step began with.
    return done[0]


def _gradient(
    model: nn.Module, batches: Sequence[Numbered], measure: Measure, clip_norm: float | None
) -> Step:
    ranks = isinstance(model, DistributedDataParallel)
    samples, processes = all_sum([sum(len(batch) for batch, _ in batches), 1])
    total = torch.zeros((), dtype=torch.float64)
    for place, (batch, _) in enumerate(batches):
        # Gradients are exchanged once a step, with the last batch.
        waits = ranks and place + 1 < len(batches)
        with model.no_sync() if waits else nullcontext():  # pyright: ignore
            loss = measure(model, batch)
            # Means of unequal batches do not average to the mean over samples; torch averages
            # gradients over processes, hence the factor.
            share = len(batch) / samples
            (loss * (share * processes)).backward()
        total = total + loss.detach().to("cpu", torch.float64) * share
    mean = all_sum([total.item()])[0]
    norm = _gradient_norm(model, clip_norm)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise _broken(model, batches, measure)
    return Step(mean, int(samples), norm)


def _gradient_norm(model: nn.Module, clip_norm: float | None) -> float:
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    return norm.item()


def _broken(model: nn.Module, batches: Sequence[Numbered], measure: Measure) -> ArithmeticError:
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    errors = [explain(inner, batch, indices, measure) for batch, indices in batches]
    return next((e for e in errors if e.samples), errors[0])


def seed_of(*numbers: int) -> int:
    """Return a 63-bit seed that is a function of the numbers only.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
    True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
