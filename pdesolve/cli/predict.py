"""`pdesolve predict run=FOLDER data=FILE`: a trained model's fields for given inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import application
from .failures import UsageError


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("predict", predict, arguments)


def predict(config: Any, folder: Path) -> dict[str, float]:
    """Write the predictions and their pictures: `.npy` for `.npy`, else `predictions.h5`.

    With `estimate` or a `tolerance` the equation tells the error of each prediction
    (`errors.csv`), and those above the tolerance are refined.
    """
    if Path(config.data).suffix == ".npy":
        if config.estimate or config.tolerance is not None:
            raise UsageError(
                f"data {config.data} is an array without an equation, expected an .h5 file or a "
                "set folder where errors are estimated: leave out estimate and tolerance"
            )
        return _predict_array(config, folder)
    return _predict_dataset(config, folder)


def _predict_dataset(config: Any, folder: Path) -> dict[str, float]:
    from ..datasets.loaders import split
    from ..datasets.reader import open_dataset
    from ..evaluation import predictions
    from ..evaluation.pictures import draw_samples
    from .build import build
    from .evaluate import run_config, trained_model
    from .mixture import as_member
    from .progress import bar

    trained = run_config(config.run)
    if trained.dataset.get("points"):
        raise UsageError(
            f"{trained.dataset.name} lies at scattered points, expected a grid: pdesolve evaluate "
            "judges the model, pdesolve.load gives it to call as model(x, condition, points=...)"
        )
    window = build(trained.dataset.get("window"))
    dataset = open_dataset(
        Path(config.data), split=config.split, stride=config.stride, window=window
    )
    if config.samples is not None:
        dataset = split(dataset, {"first": config.samples})["first"]
    if trained.dataset.get("members"):
        dataset = as_member(dataset, trained.dataset)
    model = trained_model(Path(config.run), trained, dataset, config.allow)
    bars = ErrorBars.of(dataset, config)
    names = [stored_name(n) for n in dataset.input_names + dataset.output_names]
    seeds = dataset.seeds
    path, done = folder / "predictions.h5", 0
    with prediction_writer(path, dataset, model_of=config.run) as writer, bar(config) as progress:
        task = progress.add_task("predict", total=len(dataset))
        for batch, prediction in predictions(model, dataset, batch_size=config.batch_size):
            if bars is not None:
                prediction = bars.judged(batch, prediction)
            for row in range(len(batch)):
                channels = [*batch.x[row].cpu().numpy(), *prediction[row].cpu().numpy()]
                fields = dict(zip(names, channels, strict=True))
                writer.write(done + row, fields, seed=seeds[done + row])
            done += len(batch)
            progress.update(task, completed=done)
        writer.finish()
    written = open_dataset(path)
    first = written.batch(range(min(4, done)))
    draw_samples(folder / "predictions.png", first, written)
    print(f"predictions: {application.relative(path)}")
    if bars is None:
        return {"samples": done}
    for name, why in bars.asked.unseen.items():
        print(f"estimates do not count {name}: {why}")
    return {"samples": done} | bars.written(folder / "errors.csv")


@dataclass
class ErrorBars:
    """Estimated errors of predictions, gathered batch by batch.

    Args:
        asked: the dataset's equation.
        tolerance: of the estimated error; predictions above it are refined.
    """

    asked: Any
    tolerance: float | None
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    refined: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, dataset: Any, config: Any) -> "ErrorBars | None":
        """Return what a config asks for, None if it asks for no estimates.

        Raises:
            UsageError: the dataset's equation cannot be asked, with the reason.
        """
        from .refinable import refinable

        if not config.estimate and config.tolerance is None:
            return None
        if config.tolerance is not None and not isinstance(config.tolerance, int | float):
            raise UsageError(f"tolerance is {config.tolerance!r}, expected a number such as 1e-2")
        asked = refinable(dataset)
        if isinstance(asked, str):
            raise UsageError(f"errors of {dataset.name} cannot be estimated: {asked}")
        if asked.kind == "lead" and config.tolerance is not None:
            raise UsageError(
                f"{dataset.name} is seen through pairs with a lead time, expected frames where "
                "predictions are refined: give estimate=true without a tolerance"
            )
        return cls(asked, config.tolerance)

    def judged(self, batch: Any, prediction: Any) -> Any:
        """Note the estimated errors of predictions, and return them refined where they ask so."""
        if self.tolerance is None:
            estimates = self.asked.estimates(batch, prediction).tolist()
            self.before += estimates
            self.after += estimates
            self.refined += [0] * len(estimates)
            return prediction
        solution = self.asked.solution(batch, prediction, tolerance=float(self.tolerance))
        self.before += solution.stats["estimate/before"].tolist()
        self.after += solution.stats["estimate"].tolist()
        self.refined += solution.stats["refined"].tolist()
        return self.asked.layout(solution.value).to(prediction)

    def written(self, path: Path) -> dict[str, float]:
        """Write a line a sample and return the figures of all."""
        rows = zip(self.before, self.after, self.refined, strict=True)
        lines = [f"{k},{old:.6g},{new:.6g},{one}" for k, (old, new, one) in enumerate(rows)]
        text = "\n".join(["sample,estimated_before,estimated,refined", *lines, ""])
        application.write_text(path, text)
        count = len(self.after)
        figures = {
            "error/estimated": sum(self.after) / count,
            "error/estimated_worst": max(self.after),
            "refined": float(sum(self.refined)),
        }
        if self.tolerance is not None:
            figures["above_tolerance"] = float(sum(not e <= self.tolerance for e in self.after))
        return figures


def prediction_writer(path: Path, dataset: Any, *, model_of: str) -> Any:
    """Return a writer for a dataset whose outputs are predicted, channel by channel."""
    from ..datasets.spec import DatasetSpec, FieldSpec
    from ..datasets.writer import DatasetWriter

    fields = [FieldSpec(stored_name(n), "input", dataset.units[n]) for n in dataset.input_names]
    fields += [
        FieldSpec(stored_name(n), "output", dataset.units[n], time_varying=True)
        for n in dataset.output_names
    ]
    # One time of several is no solution of an equation that was recorded at all of them.
    solved = dataset.target_times == dataset.times and len(dataset.times) == 1
    spec = DatasetSpec(
        f"{dataset.name}_predicted",
        dataset.grid,
        tuple(fields),
        equation=dataset.equation if solved else "",
        equation_parameters=dataset.equation_parameters if solved else {},
    )
    provenance = {
        "generator": "pdesolve predict",
        "model": str(model_of),
        "inputs_of": str(dataset.path),
        "inputs_hash": dataset.data_hash,
    }
    return DatasetWriter(path, spec, len(dataset), provenance=provenance)


def stored_name(channel: str) -> str:
    """Return the name of a field for a channel, whose frame becomes part of it.

    >>> stored_name("vorticity@-9"), stored_name("density@0.5")
    ('vorticity_m9', 'density_0_5')
    """
    return re.sub(r"\W", "_", channel.replace("@-", "_m"))


def _predict_array(config: Any, folder: Path) -> dict[str, float]:
    import numpy as np
    import torch

    from .. import artifacts

    run = Path(config.run)
    dims = len(artifacts.read_metadata(run / "model")["grid"]["shape"])
    x = torch.from_numpy(checked_array(Path(config.data), dims)).float()
    model = artifacts.load(run / "model").eval()
    with torch.no_grad():
        y = torch.cat([model(part) for part in x[: config.samples].split(config.batch_size)])
    path = folder / "predictions.npy"
    np.save(path, y.numpy())
    print(f"predictions: {application.relative(path)}, shape {tuple(y.shape)}")
    return {"samples": len(y)}


def checked_array(path: Path, dims: int) -> Any:
    """Read inputs (samples, channels, *grid) or (samples, *grid); the latter get one channel.

    Raises:
        DataError: no readable array of finite real numbers, or another number of axes.
    """
    import numpy as np

    from ..datasets.errors import DataError, NonFiniteError

    try:
        # No pickle: an array of objects would run code when it is read.
        x = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as an array of numbers, without pickle: {error}"
        ) from error
    if x.dtype.kind not in "fiub" or x.ndim not in (dims + 1, dims + 2) or not x.size:
        raise DataError(
            f"{path} holds {x.dtype} of shape {x.shape}, expected real numbers of shape "
            f"(samples, channels, *grid) or (samples, *grid) with {dims} grid axes"
        )
    wild = ~np.isfinite(x.reshape(len(x), -1)).all(1)
    if wild.any():
        raise NonFiniteError(
            f"{path} holds NaN or infinity in sample {int(wild.argmax())} and "
            f"{int(wild.sum()) - 1} others, expected finite values"
        )
    return x if x.ndim == dims + 2 else x[:, None]
