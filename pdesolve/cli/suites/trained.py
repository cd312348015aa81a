"""The row of a trained model: `pdesolve train` without its pictures, and what the model costs."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..application import write_text
from ..sets import Sets, open_sets

# Samples of the call whose time and memory are told.
BATCH = 16
# Batches whose difference in time is that of an epoch's batches, without what is set up once.
_FEW, _MORE = 2, 8


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Train the model of `task["config"]` and return its figures with the hashes of its data.

    With `task["seconds"]` the model gets as many whole epochs as fit into that time by the time of
    its first batches, at least one; the schedule spans them. It is time of the processor, but on
    the wall where another device works. A row that was killed keeps the epochs it was given first.
    With `task["steps_of"]` it gets as many steps as so many samples would have in its epochs.
    With `task["judged"]` "valid" the only figure is the error on the validation split.
    """
    from omegaconf import OmegaConf

    config = OmegaConf.create(dict(task["config"]))
    config.seed.init = config.seed.order = config.trainer.seed = seed
    sets = open_sets(config)
    hashes = {"train": sets.train.data_hash}
    if task.get("judged") == "valid":
        return {"figures": _validated(task, config, sets, folder), "data": hashes}
    hashes |= {f"test{label}": test.data_hash for label, test in sets.test.items()}
    _set_epochs(task, config, sets, folder)
    return {"figures": _tested(config, sets, folder), "data": hashes}


def _set_epochs(task: Mapping[str, Any], config: Any, sets: Sets, folder: Path) -> None:
    """Give the config the epochs of the task's budget."""
    if task["seconds"] is not None:
        config.trainer.epochs = _epochs(config, sets, task["seconds"], folder / "epochs.json")
    if "steps_of" in task:
        steps = config.trainer.epochs * _batches(config, sets.train, task["steps_of"])
        each = _batches(config, sets.train, sets.train.trajectories)
        config.trainer.epochs = max(1, round(steps / each))
    # Validation would cost quick models more of their budget than slow ones.
    config.trainer.validate_every = config.trainer.epochs


def _validated(task: Mapping[str, Any], config: Any, sets: Sets, folder: Path) -> dict[str, Any]:
    """Return the error on the validation split; that a rate diverges is found, not a failure."""
    from ...training import NonFiniteError
    from ..train import learned

    try:
        _set_epochs(task, config, sets, folder)  # Which trains for a few batches, too.
        _, result = learned(config, sets, folder)
    except NonFiniteError as error:
        return {"diverged": str(error).partition("\n")[0][:300]}
    return {"valid/l2": result.history[-1]["valid/l2"], "epochs": config.trainer.epochs}


def _tested(config: Any, sets: Sets, folder: Path) -> dict[str, Any]:
    """Train and return what the model costs and its figures on the test sets."""
    from ..train import learned, numbers_of
    from .measured import test_figures

    went_on = (folder / "checkpoints").exists()
    clock = _clock(config)
    started = clock()
    model, result = learned(config, sets, folder)
    spent = clock() - started
    told = {
        "parameters": numbers_of(model),
        "epochs": config.trainer.epochs,
        "steps": result.history[-1]["step"],
    }
    if not went_on:  # Of a row that went on, this process knows the last part alone.
        told["seconds"] = spent
    return told | call_costs(model, sets.train) | test_figures(model, sets)


def call_costs(model: Any, dataset: Any) -> dict[str, Any]:
    """Return what a call and a training step of the model cost on a batch of the data."""
    from ...evaluation.cost import call_seconds, peak_bytes
    from .calls import prediction, training_step

    device = next(model.parameters()).device
    batch = dataset.batch(list(range(min(BATCH, len(dataset))))).to(device)
    call, step = prediction(model, batch), training_step(model, batch)
    milliseconds = 1e3 * call_seconds(call, device) / len(batch.x)
    step()
    return {
        "inference_milliseconds": milliseconds,
        "inference_bytes": peak_bytes(call, device),
        "step_bytes": peak_bytes(step, device),
        "cost_samples": len(batch.x),
    }


def _batches(config: Any, train: Any, samples: int) -> int:
    """Return how many batches an epoch of so many stored samples has."""
    items = len(train) // train.trajectories
    return -(-samples * items // config.trainer.batch_size)


def _epochs(config: Any, sets: Sets, seconds: float, kept: Path) -> int:
    if not kept.is_file():
        epochs = max(1, int(seconds / _epoch_seconds(config, sets.train)))
        write_text(kept, json.dumps(epochs))
    return json.loads(kept.read_text())


def _epoch_seconds(config: Any, train: Any) -> float:
    """Return the seconds of an epoch, from a few batches."""
    clock = _clock(config)
    items = len(train) // train.trajectories

    def measured(batches: int) -> tuple[int, float]:
        samples = min(-(-batches * config.trainer.batch_size // items), train.trajectories)
        part = train.subset(range(samples))
        started = clock()
        _one_epoch(config, part)
        return len(part), clock() - started

    measured(1)
    (few, short), (more, long) = measured(_FEW), measured(_MORE)
    # Of a set of few batches all are the more, and nothing is left to subtract.
    each = (long - short) / (more - few) if more > few and long > short else long / more
    return each * len(train)


def _clock(config: Any) -> Callable[[], float]:
    """Return the clock of a run: of the processor, or on the wall where another device works."""
    return time.perf_counter if config.trainer.get("device") else time.process_time


def _one_epoch(config: Any, part: Any) -> None:
    from omegaconf import OmegaConf

    from ..train import learned

    short = OmegaConf.merge(config, {"trainer": {"epochs": 1}})
    learned(short, Sets(part, None, {}), None)
