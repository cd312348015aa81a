"""Learning rates over a run, as factors of the optimiser's own rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

Period = Literal["step", "epoch"]


@runtime_checkable
class Schedule(Protocol):
    """What `fit` asks of a schedule: when it moves on, and a torch scheduler."""

    @property
    def per(self) -> Period:
        """Whether the rate changes after each step or after each epoch."""
        ...

    def build(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """Return the torch scheduler of a run of total_steps optimiser steps."""
        ...


@dataclass(frozen=True)
class OneCycle:
    """A cosine up to the full rate and a cosine down; the rate changes after each step.

    With s steps done of N, w = warmup * N and h(z) = (1 - cos πz) / 2 the factor is

        start + (1 - start) h(s / w)              for s < w
        end + (1 - end) h(1 - (s - w) / (N - w))  from there on

    It ends at `end` after the last step, so that no step is taken at a rate of zero.
    A schedule that ends at zero is worth more than most other choices on small sets.

    Args:
        warmup: share of the run that climbs, 0 <= warmup < 1.
        start: first factor.
        end: last factor.
    """

    warmup: float = 0.15
    start: float = 0.04
    end: float = 0.0

    per: Period = "step"

    def __post_init__(self):
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is {self.warmup}, expected a share 0 <= warmup < 1")

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor after `step` of `total_steps` steps.

        >>> OneCycle().factor(0, 100), OneCycle().factor(15, 100), OneCycle().factor(100, 100)
        (0.04, 1.0, 0.0)
        """
        climb = self.warmup * total_steps
        if step < climb:
            return self.start + (1 - self.start) * _half_cosine(step / climb)
        fallen = (step - climb) / (total_steps - climb)
        return self.end + (1 - self.end) * _half_cosine(1 - fallen)

    def build(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: self.factor(step, total_steps))


def _half_cosine(z: float) -> float:
    return (1 - math.cos(math.pi * z)) / 2


@dataclass(frozen=True)
class StepDecay:
    """The rate is multiplied by `factor` after each `every` epochs."""

    every: int = 100
    factor: float = 0.5

    per: Period = "epoch"

    def build(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        del total_steps
        return LambdaLR(optimizer, lambda epoch: self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class Torch:
    """Any scheduler of `torch.optim.lr_scheduler`.

    Args:
        factory: called with the optimiser, such as `partial(CosineAnnealingLR, T_max=20)`.
        per: when the scheduler moves on. `ReduceLROnPlateau` needs "epoch"; it is given the
            validation metric, or the training loss where nothing is validated.
    """

    factory: Callable[[Optimizer], LRScheduler]
    per: Period = "epoch"

    def build(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        del total_steps
        return self.factory(optimizer)
