"""`pdesolve train experiment=NAME`: data, operator, training, evaluation and report in one run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import application
from .failures import Stopped
from .signals import stopping

_OUTPUTS_AT_ONCE = 64


def main(arguments: Sequence[str]) -> None:
    """Run the verb; under torchrun all processes share one run folder."""
    application.run("train", train, arguments)


def train(config: Any, folder: Path) -> dict[str, float]:
    """Train in `folder` (going on where an interrupted run stopped), evaluate, report."""
    from .. import artifacts, training
    from .judge import judge
    from .sets import open_sets

    sets = open_sets(config)
    model, result = learned(config, sets, folder)
    if not training.is_main_process():
        return {}
    metrics = judge(
        model,
        sets,
        folder,
        config,
        title=f"{config.operator._target_.rpartition('.')[2]} on {config.dataset.name}",
        history=result.history,
        groups=config.loss.get("groups"),
        run_figures={
            "parameters": numbers_of(model),
            "seconds": result.seconds,
        },
    )
    metadata = {**sets.train.metadata(), "metrics": metrics}
    artifacts.save(model, folder / "model", metadata=metadata)
    return metrics


def learned(config: Any, sets: Any, folder: Path | None) -> tuple[Any, Any]:
    """Return the model of a config, trained on the sets, and its `FitResult`.

    Args:
        config: of the run, resolved.
        sets: what it learns from and is validated on.
        folder: keeps log and checkpoints, from which the same call goes on; None keeps nothing.

    Raises:
        Stopped: a signal came; the folder holds a checkpoint to go on from.
    """
    import torch

    from .. import training
    from .build import build

    torch.manual_seed(config.seed.init)
    model = starting_model(config, sets.train)
    allow = config.allow
    with stopping() as stopped:
        try:
            result = training.fit(
                model,
                sets.train,
                sets.valid,
                folder=folder,
                loss=build(config.loss, allow=allow),
                objective=build(config.objective, allow=allow, fixed=sets.train.fixed_channels),
                optimizer=build(config.optimizer, allow=allow),
                schedule=build(config.schedule, allow=allow),
                augmentation=build(config.augmentation, allow=allow),
                settings=build(config.trainer, allow=allow),
                stop=lambda: bool(stopped),
                progress=config.progress,
            )
        except training.Interrupted as interrupted:
            raise Stopped(stopped[0], resume_hint(interrupted, folder)) from interrupted
    return model, result


def numbers_of(model: Any) -> int:
    """Return how many real numbers a model learns; a complex one counts as two."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters())


def starting_model(config: Any, dataset: Any) -> Any:
    """Return the model to train: a new one, or the saved one that `init` names.

    A saved pdesolve model brings its own architecture and statistics; the config's operator is
    then not used. A saved model of a foreign class needs the config to build it.
    """
    if config.get("init"):
        return saved_model(Path(config.init), config, dataset)
    return new_model(config, dataset)


def new_model(config: Any, dataset: Any) -> Any:
    """Return the operator of a config inside `Normalized`, with the statistics of a dataset.

    An operator that normalises by itself takes physical fields and stays as it is.
    """
    from ..layers import Normalized
    from .build import build

    operator = build(
        config.operator,
        allow=config.allow,
        in_channels=dataset.in_channels,
        out_channels=dataset.out_channels,
        condition_dim=dataset.condition_dim,
        domain=dataset.grid,
        times=_several_times(dataset),
    )
    if getattr(operator, "normalizes_itself", False):
        return operator
    statistics = dataset.normalization()
    if getattr(operator, "zero_on_boundary", False):
        # A shift of the output would lift its zero off the wall.
        statistics["y_mean"] = statistics["y_mean"] * 0
    model = Normalized(operator, **statistics)
    if hasattr(operator, "fit_modes"):
        operator.fit_modes(_standardised_outputs(model, dataset))
    return model


def _several_times(dataset: Any) -> tuple[float, ...] | None:
    """Times of the frames in the output channels, None where there is one frame."""
    times = dataset.target_times
    return times if times is not None and len(times) > 1 else None


def _standardised_outputs(model: Any, dataset: Any) -> Iterator[Any]:
    from ..datasets import Loader

    for batch in Loader(dataset, _OUTPUTS_AT_ONCE, shuffle=False).batches(0):
        yield model.standardised(batch.y)


def saved_model(folder: Path, config: Any, dataset: Any) -> Any:
    """Load a saved model; one of a foreign class is built from the config and filled."""
    from .. import artifacts

    if config.operator._target_.startswith("pdesolve."):
        return artifacts.load(folder)
    return artifacts.load(folder, model=new_model(config, dataset))


def resume_hint(interrupted: Exception, folder: Path | None) -> str:
    """Return what to type to go on; a row of a suite and a run without a folder have no command."""
    from hydra.core.hydra_config import HydraConfig

    if folder is None or not HydraConfig.initialized():
        return str(interrupted)
    again = f"{application.command()} hydra.run.dir={application.relative(folder)}"
    return f"{interrupted}; go on with `{again}`"
