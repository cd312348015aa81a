"""Everything that changes while a model is trained, and its way into a checkpoint and back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .checkpoint import Checkpoint
from .recipe import Recipe
from .record import Line
from .step import Step
from .tree import flatten, unflatten


@dataclass
class TrainState:
    """The state between two steps; random numbers are functions of (seed, step), so none here.

    Args:
        model: the model, in whatever state training has brought it.
        optimizer: with its moments.
        scheduler: with the position in the schedule.
        average: averaged weights, a ← ema_decay a + (1 - ema_decay) w after each step; or None.
        step: optimiser steps done.
        epoch: the epoch under way, from 0.
        cursor: batches of this epoch that are done.
        loss_sum: sum over the samples of this epoch of their loss.
        samples: how many they are.
        best: the log line of the epoch with the lowest validation error, or empty.
        best_weights: its weights, where the run is to end with them.
        seconds: time spent, over all processes that carried the run on.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    average: AveragedModel | None = None
    step: int = 0
    epoch: int = 0
    cursor: int = 0
    loss_sum: float = 0.0
    samples: int = 0
    best: Line = field(default_factory=dict)
    best_weights: dict[str, Tensor] | None = None
    seconds: float = 0.0

    COUNTERS: ClassVar = ("step", "epoch", "cursor", "loss_sum", "samples", "best", "seconds")

    @staticmethod
    def start(model: nn.Module, recipe: Recipe, steps: int) -> "TrainState":
        """Return the state before the first of `steps` steps."""
        optimizer = recipe.optimizer(model)
        scheduler = recipe.schedule.build(optimizer, steps)
        decay = recipe.settings.ema_decay
        average = None
        if decay is not None:
            average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        return TrainState(model, optimizer, scheduler, average)

    @property
    def judged_model(self) -> nn.Module:
        """The model whose weights are validated and kept: the averaged one if there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def models(self) -> list[nn.Module]:
        """The model and, if there is one, the averaged one."""
        return [self.model] if self.average is None else [self.model, self.average.module]

    def advance(self, step: Step, batches: int, seconds: float) -> None:
        """Count a step that was taken: move the averaged weights and the counters."""
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        self.cursor += batches
        self.loss_sum += step.loss * step.samples
        self.samples += step.samples
        self.seconds += seconds

    def checkpoint(self, **more: Any) -> Checkpoint:
        """Return the state as tensors and JSON, `more` being further JSON values."""
        optimizer, tensors = flatten(self.optimizer.state_dict(), "optimizer")
        scheduler, scheduler_tensors = flatten(self.scheduler.state_dict(), "scheduler")
        tensors |= scheduler_tensors
        tensors |= _named("model", self.model)
        if self.average is not None:
            tensors |= _named("average", self.average)
        counters = {name: getattr(self, name) for name in self.COUNTERS}
        return Checkpoint(
            tensors, {"optimizer": optimizer, "scheduler": scheduler, **counters, **more}
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over the state of a checkpoint of the same run."""
        tensors, state = checkpoint.tensors, checkpoint.state
        self.model.load_state_dict(_unnamed("model", tensors))
        if self.average is not None:
            self.average.load_state_dict(_unnamed("average", tensors))
        self.optimizer.load_state_dict(unflatten(state["optimizer"], tensors))
        self.scheduler.load_state_dict(unflatten(state["scheduler"], tensors))
        for name in self.COUNTERS:
            setattr(self, name, state[name])


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the parameters and buffers on the CPU.

    A state dict may hold more than tensors: neuraloperator's models add a dictionary of their
    constructor's arguments, others what get_extra_state gives. Those have no place in a file.
    """
    state = model.state_dict().items()
    return {n: t.detach().to("cpu", copy=True) for n, t in state if isinstance(t, torch.Tensor)}


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    # Not `weights`: checkpoints copy what they write themselves.
    state = module.state_dict().items()
    return {f"{prefix}.{name}": value for name, value in state if isinstance(value, torch.Tensor)}


def _unnamed(prefix: str, tensors: Any) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
