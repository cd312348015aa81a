"""The training loop: what happens in which order, and nothing else."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..datasets import Loader
from ..datasets.data import Data
from ..losses import RelativeL2
from .augmentation import Augmentation
from .checkpoint import Checkpoint, Checkpoints
from .distributed import Place, local_device, processes, sharing_patches
from .epoch import Run, close_epoch, finished, train_epoch
from .identity import check_same_run, describe_run
from .objective import Loss, Objective, one_step
from .optimizers import AdamW, MakeOptimizer
from .progress import Bar
from .recipe import Recipe
from .record import Line, Record
from .schedules import OneCycle, Schedule
from .settings import Settings
from .state import TrainState, weights


@dataclass(frozen=True)
class FitResult:
    """What a training run came to.

    Args:
        best: log line of the epoch with the lowest validation error; without validation of the
            last epoch.
        history: log line of each epoch: epoch, step, train/loss, valid/l2, rate, seconds.
        seconds: wall-clock time, over all processes that carried the run on.
    """

    best: Line
    history: list[Line]
    seconds: float


def fit(
    model: nn.Module,
    train: Data,
    valid: Data | None = None,
    *,
    folder: Path | str | None = None,
    loss: Loss = RelativeL2(),  # noqa: B008
    objective: Objective = one_step,
    optimizer: MakeOptimizer = AdamW(),  # noqa: B008
    schedule: Schedule = OneCycle(),  # noqa: B008
    augmentation: Augmentation | None = None,
    settings: Settings = Settings(),  # noqa: B008
    stop: Callable[[], bool] | None = None,
    resume: bool = True,
    progress: bool = True,
) -> FitResult:
    """Train a model in place and leave it in evaluation mode with the last weights.

    With `settings.keep == "best"` it is left with those of the lowest validation error, with
    `settings.ema_decay` with averaged weights. A run that died is gone on with by the same call:
    weights and log come out bit for bit as if it had not died (times excepted), on the CPU and
    for deterministic CUDA kernels. The caller's random state is neither used nor changed.

    Under torchrun each process calls `fit` with the same arguments: batches are split over the
    processes (or over groups of them, see `Settings.patch_processes`), and the first of them
    writes the folder.

    Args:
        model: called with x, or with x and condition where the data have one.
        train: what to learn from: a Dataset, a Mixture of several, or a PointSet.
        valid: what to judge weights by, by their mean relative L2 error "valid/l2".
        folder: gets log.jsonl, tensorboard/ and checkpoints/; None keeps nothing on disk.
        loss: loss(prediction, target, *, grid, mask) -> mean over samples.
        objective: objective(model, batch, loss) -> scalar to minimise. One that makes several
            `steps` gets that many targets in a row, and "valid/l2" is that of such rollouts.
        optimizer: called with the model.
        schedule: of the learning rate.
        augmentation: applied to training batches only.
        settings: all numbers.
        stop: asked after each step; True writes a checkpoint and raises Interrupted.
        resume: False refuses a folder that holds checkpoints.
        progress: False hides the bar, which shows only where stderr is a terminal.

    Raises:
        Interrupted: stop() was true.
        NonFiniteError: a loss or gradient was not finite; checkpoints are intact.
        ValueError: arguments contradict each other, or the folder holds another run.
        CheckpointError: all checkpoints of the folder are damaged.
        OSError: a checkpoint could not be written; the previous one is intact.
    """
    recipe = Recipe(loss, objective, optimizer, schedule, augmentation, settings)
    recipe.check(train, valid)
    train = train.ahead(recipe.steps)
    valid = None if valid is None else valid.ahead(recipe.steps)
    device = local_device(torch.device(settings.device or next(model.parameters()).device))
    with processes(device, settings.patch_processes) as place, _own_randomness(device):
        return _trained(
            model.to(device),
            train,
            valid,
            recipe,
            place,
            folder=None if folder is None else Path(folder),
            stop=stop or (lambda: False),
            resume=resume,
            shown=progress and place.rank == 0,
        )


def _trained(
    model: nn.Module,
    train: Data,
    valid: Data | None,
    recipe: Recipe,
    place: Place,
    *,
    folder: Path | None,
    stop: Callable[[], bool],
    resume: bool,
    shown: bool,
) -> FitResult:
    settings = recipe.settings
    loader = Loader(
        train,
        settings.batch_size,
        seed=settings.seed,
        rank=place.data_rank,
        world=place.data_world,
    )
    steps = settings.epochs * math.ceil(len(loader) / settings.accumulate)
    state = TrainState.start(model, recipe, steps)
    same = describe_run(model, train, valid, recipe, place.world)
    checkpoints = None if folder is None else Checkpoints(folder / "checkpoints")
    position = _restored(state, checkpoints, same, resume=resume, keep=settings.keep)
    writes = folder if place.rank == 0 else None
    with (
        sharing_patches(state.models, place.patch_group),
        closing(Record(writes, position=position, step=state.step)) as record,
        Bar(steps, shown=shown) as bar,
    ):
        run = Run(
            model if place.world == 1 else DistributedDataParallel(model),
            loader,
            valid,
            recipe,
            place,
            stop=stop,
            checkpoints=checkpoints,
            identity=same,
            record=record,
            bar=bar,
        )
        while not finished(state, settings):
            train_epoch(run, state)
            close_epoch(run, state)
    model.load_state_dict(state.best_weights or weights(state.judged_model))
    model.eval()
    return FitResult(state.best or record.epochs[-1], record.epochs, state.seconds)


def _restored(
    state: TrainState,
    checkpoints: Checkpoints | None,
    same: dict[str, Any],
    *,
    resume: bool,
    keep: str,
) -> int:
    """Bring the state to the newest checkpoint and return the log's length in bytes there."""
    if checkpoints is None:
        return 0
    if not resume and checkpoints.files():
        raise ValueError(
            f"folder {checkpoints.folder} holds checkpoints and resume is False, expected an empty "
            f"folder: choose another, or go on with resume=True"
        )
    newest = checkpoints.newest()
    if newest is None:
        return 0
    check_same_run(newest.state["identity"], same, checkpoints.folder)
    state.restore(newest)
    if keep == "best" and state.best:
        state.best_weights = dict(Checkpoint.read(checkpoints.best).tensors)
    return newest.state["log"]


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Give the caller his random states back at the end; cudnn is deterministic until then."""
    deterministic = torch.backends.cudnn.deterministic
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic
