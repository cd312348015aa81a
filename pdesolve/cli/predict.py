"""`pdesolve predict run=FOLDER data=FILE`: a trained model's fields for given inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import application


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("predict", predict, arguments)


def predict(config: Any, folder: Path) -> dict[str, float]:
    """Write `predictions.h5` (or `.npy` for an `.npy` input) and pictures in the run folder."""
    from ..datasets.loaders import split
    from ..datasets.reader import open_dataset
    from .evaluate import run_config, trained_model

    trained = run_config(config.run)
    if Path(config.data).suffix == ".npy":
        return _predict_array(config, trained, folder)
    dataset = open_dataset(Path(config.data), split=config.split, stride=config.stride)
    if config.samples is not None:
        dataset = split(dataset, {"first": config.samples})["first"]
    model = trained_model(Path(config.run), trained, dataset, config.allow)
    return _predict_dataset(model, dataset, folder, config.batch_size)
