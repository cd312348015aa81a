"""One pass through the training set: steps, then validation, log line and checkpoint."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..datasets import Loader
from ..datasets.data import Data
from .checkpoint import Checkpoint, Checkpoints
from .distributed import Place, all_sum
from .progress import Bar
from .recipe import Recipe
from .record import Line, Record
from .settings import Settings
from .state import TrainState, weights
from .step import Numbered, Step, take_step
from .validation import relative_l2


class Interrupted(Exception):
    """Training was asked to stop and did; with a folder, `fit` with the same arguments goes on."""


@dataclass(frozen=True)
class Run:
    """What stays the same from the first step to the last.

    Args:
        model: what the objective calls; under torchrun the model inside DDP.
        loader: training batches of this process.
        valid: the validation set, or None.
        recipe: the caller's choices.
        place: device and rank; rank 0 is the process that writes.
        stop: asked after each step.
        checkpoints: None without a folder.
        identity: what a run that continues this one must have in common with it.
        record, bar: where figures go.
    """

    model: nn.Module
    loader: Loader
    valid: Data | None
    recipe: Recipe
    place: Place
    stop: Callable[[], bool]
    checkpoints: Checkpoints | None
    identity: dict[str, Any]
    record: Record
    bar: Bar

    @property
    def settings(self) -> Settings:
        """All numbers."""
        return self.recipe.settings


def train_epoch(run: Run, state: TrainState) -> None:
    """Take the steps of the epoch that remain.

    Raises:
        Interrupted: run.stop() was true after a step; the state is saved.
        NonFiniteError: a loss or gradient was not finite.
    """
    run.model.train()
    clock = time.perf_counter()
    for batches in _batches_of_steps(run, state):
        step = _step(run, state, batches)
        if run.recipe.schedule.per == "step":
            state.scheduler.step()
        now = time.perf_counter()
        state.advance(step, len(batches), now - clock)
        clock = now
        _report(run, state, step)
        stopping = all_sum([run.stop()])[0] > 0
        if stopping or _due(run.settings.checkpoint_every, state.step):
            save(run, state)
        if stopping:
            raise Interrupted(f"stopped after step {state.step}")


def close_epoch(run: Run, state: TrainState) -> None:
    """Validate where that is due, log the epoch, keep the best weights, write a checkpoint."""
    settings = run.settings
    clock = time.perf_counter()
    epoch = state.epoch + 1
    line: Line = {
        "epoch": epoch,
        "step": state.step,
        "train/loss": state.loss_sum / state.samples,
        "rate": state.optimizer.param_groups[0]["lr"],
    }
    if run.valid is not None and (_due(settings.validate_every, epoch) or epoch == settings.epochs):
        line["valid/l2"] = relative_l2(
            state.judged_model,
            run.valid,
            run.place,
            batch_size=settings.batch_size,
            calls=run.recipe.steps,
        )
        run.bar.show(state.step, state.epoch, valid=line["valid/l2"])
    state.seconds += time.perf_counter() - clock
    line["seconds"] = state.seconds
    run.record.write(line)
    if line.get("valid/l2", math.inf) < state.best.get("valid/l2", math.inf):
        _keep_best(run, state, line)
    _advance_schedule(run, state, line)
    state.epoch, state.cursor = epoch, 0
    state.loss_sum, state.samples = 0.0, 0
    if settings.checkpoint_every is None or finished(state, settings):
        save(run, state)


def finished(state: TrainState, settings: Settings) -> bool:
    """Whether all epochs are done, or the last better validation is too long ago."""
    stale = state.epoch - state.best.get("epoch", 0)
    return state.epoch >= settings.epochs or stale >= (settings.patience or math.inf)


def save(run: Run, state: TrainState) -> None:
    """Write a checkpoint of the state, if there is a folder and this is the process to do it."""
    if run.checkpoints is not None and run.place.rank == 0:
        more = {"identity": run.identity, "log": run.record.position()}
        run.checkpoints.save(state.step, state.checkpoint(**more))


def _step(run: Run, state: TrainState, batches: list[Numbered]) -> Step:
    try:
        recipe = run.recipe.of_epoch(state.epoch)
        return take_step(run.model, state.optimizer, batches, recipe, run.place, number=state.step)
    except torch.OutOfMemoryError as error:
        error.add_note(
            f"batch_size {run.settings.batch_size} needs more memory than there is: halve it and "
            f"double accumulate, which gives the same gradients; checkpoints are intact"
        )
        raise


def _batches_of_steps(run: Run, state: TrainState) -> Iterator[list[Numbered]]:
    """Yield the batches of each step that remains, on the device and augmented, with indices."""
    loader, settings, augmentation = run.loader, run.settings, run.recipe.augmentation
    epoch, first = state.epoch, state.cursor
    order = loader.order(epoch)
    step: list[Numbered] = []
    for number, batch in enumerate(loader.batches(epoch, first=first), start=first):
        indices = order[number * settings.batch_size :][: len(batch)]
        batch = batch.to(run.place.device)
        if augmentation is not None:
            batch = augmentation(batch, indices, seed=settings.seed, epoch=epoch)
        step.append((batch, indices))
        if len(step) == settings.accumulate or number + 1 == len(loader):
            yield step
            step = []


def _report(run: Run, state: TrainState, step: Step) -> None:
    rate = state.optimizer.param_groups[0]["lr"]
    run.bar.show(state.step, state.epoch, loss=step.loss, rate=rate)
    if _due(run.settings.log_every, state.step):
        line = {"epoch": state.epoch + 1, "step": state.step, "step/loss": step.loss}
        line |= {"step/gradient_norm": step.gradient_norm, "rate": rate}
        run.record.write(line | {"seconds": state.seconds})


def _keep_best(run: Run, state: TrainState, line: Line) -> None:
    state.best = line
    if run.settings.keep == "best":
        state.best_weights = weights(state.judged_model)
    if run.checkpoints is not None and run.place.rank == 0:
        run.checkpoints.save_best(Checkpoint(weights(state.judged_model), line))


def _advance_schedule(run: Run, state: TrainState, line: Line) -> None:
    if run.recipe.schedule.per != "epoch":
        return
    if not isinstance(state.scheduler, ReduceLROnPlateau):
        state.scheduler.step()
    elif run.valid is None:
        state.scheduler.step(line["train/loss"])
    elif "valid/l2" in line:
        state.scheduler.step(line["valid/l2"])


def _due(every: int | None, count: int) -> bool:
    return every is not None and count % every == 0
