"""The datasets that a config names, opened."""

from dataclasses import dataclass
from typing import Any

from .failures import UsageError
from .mixture import open_mixtures, with_horizon
from .splits import has_split, open_split, open_tests


@dataclass(frozen=True)
class Sets:
    """The datasets of a run: what it learns from, what chooses its weights, what judges it.

    `test` maps a label ("" at the training resolution, "@33" at another) to a dataset.
    """

    train: Any
    valid: Any | None
    test: dict[str, Any]


def sized(config: Any) -> Any:
    """Return `config.dataset` at the size that `config.size` names.

    `size=smoke` takes what the dataset's `smoke` section says, but for keys on the command line,
    and the folder data/NAME_smoke, but for another one that the config names.

    Raises:
        UsageError: the dataset has no such size.
    """
    from omegaconf import OmegaConf

    dataset, size = config.dataset, config.get("size", "full")
    if size == "full":
        return dataset
    if size != "smoke" or not dataset.get("smoke"):
        sizes = ["full", *(["smoke"] if dataset.get("smoke") else [])]
        raise UsageError(f"size is {size!r}, expected one of {sizes} for dataset {dataset.name}")
    # A copy that may get new keys.
    small = OmegaConf.merge(OmegaConf.to_container(dataset), dataset.smoke)
    if dataset.path == f"data/{dataset.name}":
        small.path = f"{dataset.path}_smoke"
    for key in _typed():
        if key.startswith("dataset.") and (value := OmegaConf.select(config, key)) is not None:
            OmegaConf.update(small, key.removeprefix("dataset."), value, merge=False)
    return small


def _typed() -> list[str]:
    """Return the keys that the command line gives a value."""
    from hydra.core.hydra_config import HydraConfig

    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    return [override.partition("=")[0].lstrip("+") for override in given]


def open_sets(config: Any) -> Sets:
    """Open the splits of `config.dataset`.

    `dataset.holdout` takes the last samples of the training split for validation, for published
    sets that have no validation split; `dataset.train_samples` keeps only that many of the training
    samples; `dataset.horizon` lets lead times grow with the epochs, see `Mixture`.
    `dataset.test_strides` lists further resolutions.

    Raises:
        DataError: a file is missing or damaged.
        UsageError: the folder has no training split, or no test split.
    """
    from ..datasets.loaders import split

    dataset = config.dataset
    if dataset.get("members"):
        return Sets(*open_mixtures(config))
    train = open_split(dataset, "train", dataset.stride)
    valid = None
    if dataset.get("holdout"):
        rest = train.trajectories - dataset.holdout
        parts = split(train, {"train": rest, "valid": dataset.holdout})
        train, valid = parts["train"], parts["valid"]
    elif has_split(dataset, "valid"):
        valid = open_split(dataset, "valid", dataset.stride)
    if dataset.get("train_samples"):
        train = split(train, {"train": dataset.train_samples})["train"]
    if dataset.get("horizon"):
        train = with_horizon(train, dataset.horizon)
    return Sets(train, valid, open_tests(dataset, "test", dataset.get("test_strides", ())))


def equation_of(dataset: Any) -> Any | None:
    """Return the equation that a dataset solves, None if it names none that pdesolve knows.

    The file holds a name and numbers; only what `pdesolve.pde` exports is built from them.
    """
    from .. import pde

    cls = getattr(pde, dataset.equation, None) if dataset.equation.isidentifier() else None
    return cls(**dataset.equation_parameters) if isinstance(cls, type) else None


def residual_of(dataset: Any) -> Any | None:
    """Return `residual(batch, prediction) -> (b,)` of the equation that a dataset solves, or None.

    None too for a stored sub-grid, which lacks the walls and so a part of the equation, and for
    targets that are not all recorded times.
    """
    from ..datasets.windows import quantity

    equation = equation_of(dataset)
    if equation is None or any(dataset.grid.offset) or dataset.target_times != dataset.times:
        return None
    outputs = tuple(dict.fromkeys(quantity(name) for name in dataset.output_names))
    names = (equation.inputs, equation.outputs, getattr(equation, "parameters", ()))
    if (dataset.input_names, outputs, dataset.condition_names) != names:
        return None
    frames = (len(dataset.times),) if hasattr(equation, "times") else ()

    def residual(batch: Any, prediction: Any) -> Any:
        if not prediction.isfinite().all():
            return prediction.new_full((len(prediction),), float("nan"))
        given = dict(zip(equation.inputs, batch.x.unbind(1), strict=True))
        if batch.condition is not None:
            given |= dict(zip(batch.condition_names, batch.condition.unbind(1), strict=True))
        if batch.mask is not None:
            prediction = prediction * batch.mask  # What lies outside is nobody's prediction.
        # Channels are frame by frame; records of an evolution have a time axis behind the batch.
        fields = prediction.unflatten(1, (*frames, len(outputs))).unbind(1 + len(frames))
        return equation.relative_residual(*fields, **given, grid=batch.grid)

    return residual
