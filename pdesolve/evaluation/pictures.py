"""The pictures that a person wants of a model and of a dataset, each with its caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..datasets import Dataset, Mixture
from ..grid import Grid
from . import canvas
from .curves import error_histogram, loss_curves, rollout_curves, spectra_figure
from .fields import Names
from .inference import Model, Samples, predictions
from .metrics import representatives
from .movie import rollout_gif
from .panels import prediction_panel, samples_figure
from .point_panels import points_panel
from .rollout import RolloutErrors
from .spectra import cutoff, mean_spectra


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Args:
        name: stem of its file, such as "worst_sample".
        caption: what there is to see, one or two sentences.
        data: the picture itself.
        wide: whether it takes the whole width of a page.
        kind: of the file; a GIF may move.
    """

    name: str
    caption: str
    data: bytes
    wide: bool = False
    kind: Literal["png", "gif"] = "png"


@runtime_checkable
class NamedSamples(Samples, Protocol):
    """What the pictures need of a dataset."""

    # Read-only: a protocol's plain attributes would ask for attributes of exactly these types.
    @property
    def input_names(self) -> Sequence[str]: ...
    @property
    def output_names(self) -> Sequence[str]: ...
    @property
    def units(self) -> Mapping[str, str]: ...


def gallery(
    model: Model,
    dataset: NamedSamples,
    l2: Float[Tensor, " samples"],
    *,
    training_grid: Grid | None = None,
    prefix: str = "",
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> list[Picture]:
    """Return the worst, the median and the best sample, all errors, and on a grid the spectra.

    Args:
        model: what predicts.
        dataset: what it is tested on.
        l2: relative L2 error of each sample, from `metrics.per_sample`.
        training_grid: marks in the spectra what the training data resolved.
        prefix: begins the names of the pictures, where there are several galleries.
        batch_size: samples a call.
        device: see `metrics.evaluate`.
    """
    chosen = representatives(l2)
    pictures = [
        _sample_picture(model, dataset, l2, kind, chosen[kind], device)
        for kind in ("worst", "median", "best")
    ]
    told = f"Relative L2 error of each of the {len(l2)} samples. One mark a sample."
    pictures.append(Picture("error_histogram", told, canvas.png(error_histogram(l2))))
    if dataset.grid is not None:
        spectra = mean_spectra(model, dataset, batch_size=batch_size, device=device)
        pictures.append(_spectra_picture(spectra, training_grid, dataset.units.get("x", "1")))
    return [replace(one, name=prefix + one.name) for one in pictures]


def loss_picture(history: Sequence[Mapping[str, float | None]]) -> Picture:
    """Return the curves of a training run, from the lines that `training.fit` logs per epoch."""
    return Picture(
        "loss_curves",
        "Training loss and validation error by epoch. The ring marks the best validation.",
        canvas.png(loss_curves(history)),
    )


def rollout_picture(errors: RolloutErrors, *, prefix: str = "") -> Picture:
    """Return how the error of rollouts grows with time, from `rollout.rollout_errors`."""
    return Picture(
        f"{prefix}rollout",
        f"Error of {len(errors.whole)} rollouts against time: the model is called on its own "
        "predictions. Where it reaches the dashes, the last input frame is as good.",
        canvas.png(rollout_curves(errors)),
    )


def rollout_movie(
    model: Model,
    dataset: Dataset | Mixture,
    errors: RolloutErrors,
    *,
    prefix: str = "",
    device: torch.device | str | None = None,
) -> Picture:
    """Return the rollout of the median trajectory as a moving picture.

    Args:
        model, dataset, device: see `rollout.rollout_errors`.
        errors: of all trajectories, which tell the median.
        prefix: begins the name.
    """
    index = representatives(errors.whole)["median"]
    return Picture(
        f"{prefix}rollout_movie",
        f"Rollout of trajectory {index}, the middle error of {len(errors.whole)}: relative L2 "
        f"error {float(errors.whole[index]):.3g} over all times.",
        rollout_gif(model, dataset, index, device=device),
        wide=True,
        kind="gif",
    )


def draw_samples(path: Path, batch: Batch, dataset: NamedSamples) -> None:
    """Write a PNG of stored samples: a row for each, their inputs, then their outputs."""
    path.write_bytes(canvas.png(samples_figure(batch, names=_names(dataset))))


def _spectra_picture(spectra: Any, training_grid: Grid | None, unit: str) -> Picture:
    seen = None if training_grid is None else cutoff(training_grid)
    return Picture(
        "spectra",
        "Energy by wavenumber, small scales to the right. Where the error reaches the truth, "
        "the prediction of that scale is worth nothing.",
        canvas.png(spectra_figure(spectra, training_cutoff=seen, length_unit=unit)),
    )


def _sample_picture(
    model: Model,
    dataset: NamedSamples,
    l2: Tensor,
    kind: str,
    index: int,
    device: torch.device | str | None,
) -> Picture:
    batch, prediction = next(predictions(model, dataset, [index], device=device))
    error = f"relative L2 error {float(l2[index]):.3g}"
    shown: dict[str, Any] = {
        "names": _names(dataset),
        "title": f"{kind.capitalize()} sample, number {index}: {error}",
    }
    if batch.points is not None:
        where = batch.points if batch.points.ndim == 2 else batch.points[0]
        figure = points_panel(where, batch.y[0], prediction[0], **shown)
        points = str(len(where))
    else:
        grid = batch.uniform_grid
        figure = prediction_panel(batch.x[0], batch.y[0], prediction[0], grid=grid, **shown)
        points = " × ".join(map(str, grid.shape))
    place = {"worst": "largest", "median": "middle", "best": "smallest"}[kind]
    caption = (
        f"Sample {index} on {points} points, the {place} error of {len(l2)}. Truth and prediction "
        f"share a scale, the error has its own."
    )
    return Picture(f"{kind}_sample", caption, canvas.png(figure), wide=True)


def _names(dataset: NamedSamples) -> Names:
    return Names(dataset.input_names, dataset.output_names, dataset.units)
