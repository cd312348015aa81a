"""`pdesolve refine run=FOLDER`: predictions judged and corrected by the equation itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import application
from .failures import UsageError


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("refine", refine, arguments)


@dataclass
class _Found:
    """What was found batch by batch; each list holds one tensor a batch."""

    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)
    truth: list[Any] = field(default_factory=list)
    classical: list[Any] = field(default_factory=list)
    stats: list[Any] = field(default_factory=list)
    seconds: dict[str, float] = field(
        default_factory=lambda: {"prediction": 0.0, "refinement": 0.0, "classical solver": 0.0}
    )

    def joined(self, name: str) -> Any:
        import torch

        return torch.cat(getattr(self, name)).cpu()

    def stat(self, name: str) -> Any:
        import torch

        return torch.cat([one[name] for one in self.stats]).cpu()


def refine(config: Any, folder: Path) -> dict[str, Any]:
    """Predict a split, refine the predictions, and compare both with truth and classical solver.

    Raises:
        UsageError: the data's equation cannot be asked, with the reason.
    """
    import numpy as np

    from ..datasets.loaders import split
    from .evaluate import run_config, trained_model
    from .refinable import refinable
    from .splits import has_split, open_split

    trained = run_config(config.run)
    dataset = trained.dataset
    for name in ("path", "stride"):
        if config.get(name) is not None:
            dataset[name] = config[name]
    for name in ("samples", "batch_size"):
        if config[name] is not None and config[name] < 1:
            raise UsageError(f"{name} is {config[name]}, expected 1 or more")
    if dataset.path is None:
        places = [one.path for one in dataset.members]
        raise UsageError(
            f"run {config.run} learned from the mixture {dataset.name}, expected data of one "
            f"equation: say which with path=FOLDER, such as one of {places}"
        )
    if not Path(dataset.path).is_dir():
        raise UsageError(f"{dataset.path} does not exist: say where the set is with path=FOLDER")
    if not has_split(dataset, config.split):
        raise UsageError(f"{dataset.path} has no split {config.split!r}: see its folder data/")
    data = open_split(dataset, config.split, dataset.stride)
    if config.samples is not None:
        data = split(data, {"first": min(config.samples, data.trajectories)})["first"]
    asked = refinable(data)
    if isinstance(asked, str):
        raise UsageError(f"{dataset.name} cannot be refined: {asked}")
    if asked.kind == "lead":
        raise UsageError(
            f"{dataset.name} is seen through pairs with a lead time, expected frames: add "
            "dataset.window to the training, or call pdesolve evaluate, which estimates pairs"
        )
    model = trained_model(Path(config.run), trained, data, config.allow)
    found = _run(model, data, asked, config)
    np.save(folder / "refined.npy", found.joined("after").numpy())
    _refuse_wild(found)
    return _report(folder, config, data, asked, found)


def _refuse_wild(found: _Found) -> None:
    """Raise ArithmeticError where results are not finite: no figure can be told of them."""
    wild = int((~found.joined("after").flatten(1).isfinite().all(1)).sum())
    if wild:
        raise ArithmeticError(
            f"{wild} refined predictions are not finite: look at the predictions of the run with "
            "pdesolve evaluate"
        )


def _run(model: Any, data: Any, asked: Any, config: Any) -> _Found:
    from ..evaluation import predictions
    from .progress import bar
    from .refinable import options_of

    options, found = dict(options_of(config)), _Found()
    last_layer = options["tuning"].parameters == "last_layer"
    if options["method"] == "published" or (options["method"] == "tune" and last_layer):
        options["model"] = model
    with bar(config) as progress:
        task = progress.add_task("refine", total=len(data))
        started = time.perf_counter()
        for batch, prediction in predictions(model, data, batch_size=config.batch_size):
            found.seconds["prediction"] += time.perf_counter() - started
            inputs = {"inputs": batch.x} if "model" in options else {}
            started = time.perf_counter()
            solution = asked.solution(batch, prediction, **options, **inputs)
            found.seconds["refinement"] += time.perf_counter() - started
            classical, seconds = asked.classical(batch)
            found.seconds["classical solver"] += seconds
            found.before.append(prediction.double())
            found.after.append(asked.layout(solution.value).double())
            found.truth.append(batch.y.double())
            found.classical.append(classical)
            found.stats.append(solution.stats)
            progress.update(task, advance=len(batch))
            started = time.perf_counter()
    return found


def _report(folder: Path, config: Any, data: Any, asked: Any, found: _Found) -> dict[str, Any]:
    from omegaconf import OmegaConf

    from ..evaluation.refinement import estimate_picture, refinement_pictures
    from ..evaluation.report import Findings, environment, flat_metrics, write_report

    before, after, truth = (found.joined(name) for name in ("before", "after", "truth"))
    errors = {name: _errors(found.joined(name), truth) for name in ("before", "after", "classical")}
    metrics = {
        "test/l2": float(errors["after"].mean()),
        "test/l2_std": float(errors["after"].std(correction=0)),
        "test/l2_worst": float(errors["after"].max()),
        "test/estimated": float(found.stat("estimate").mean()),
        "test/residual": float(found.stat("residual").mean()),
        "test/accepted": float((1 - found.stat("refined").double()).mean()),
        "test/iterations": float(found.stat("iterations").double().mean()),
        "test/samples": float(len(truth)),
        "seconds": found.seconds["refinement"],
    }
    if config.tolerance is not None:
        above = ~(found.stat("estimate") <= config.tolerance)
        metrics["test/above_tolerance"] = float(above.double().mean())
    if "floor" in found.stats[0]:
        metrics["test/floor"] = float(found.stat("floor").max())
    references = {
        "prediction": {
            "test/l2": float(errors["before"].mean()),
            "test/l2_worst": float(errors["before"].max()),
            "test/estimated": float(found.stat("estimate/before").mean()),
            "test/residual": float(found.stat("residual/before").mean()),
            "seconds": found.seconds["prediction"],
        },
        "classical solver": {
            "test/l2": float(errors["classical"].mean()),
            "test/l2_worst": float(errors["classical"].max()),
            "seconds": found.seconds["classical solver"],
        },
    }
    times = data.target_times or range(1, truth.shape[1] + 1)
    pictures = [
        *refinement_pictures(
            before, after, truth, found.stat("estimate/slices"), grid=data.grid, times=list(times)
        ),
        estimate_picture(found.stat("estimate/before"), errors["before"]),
    ]
    findings = Findings(
        title=f"Refinement of {Path(config.run).name} on {data.name}, {config.split}",
        summary=_summary(config, errors, found),
        metrics=metrics,
        references=references,
        pictures=pictures,
        unseen=asked.unseen,
        dataset={"name": data.name, "path": str(data.path), "data hash": data.data_hash},
        environment=environment(),
        command=application.command(),
        configuration=OmegaConf.to_yaml(config),
    )
    write_report(folder, findings)
    return flat_metrics(findings)


def _errors(found: Any, truth: Any) -> Any:
    return (found - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)


def _summary(config: Any, errors: dict[str, Any], found: _Found) -> str:
    """Return what was done, and whether the classical solver would have done it better."""
    count, total = int(found.stat("refined").sum()), len(found.stat("refined"))
    done = {
        "estimate": "Errors were estimated, the predictions are as they were.",
        "sweep": f"{count} of {total} predictions were refined by sweeps.",
        "tune": f"{count} of {total} predictions were refined by tuning "
        f"{config.tuning.parameters}.",
        "published": "The last layer was tuned by the published residual, which sees no error.",
    }[config.method]
    if config.tolerance is not None:
        above = int((~(found.stat("estimate") <= config.tolerance)).sum())
        done += f" {above} of {total} are above the tolerance {config.tolerance:g} still."
    refined, classical = float(errors["after"].mean()), float(errors["classical"].mean())
    seconds = found.seconds
    ratio = (seconds["prediction"] + seconds["refinement"]) / max(seconds["classical solver"], 1e-9)
    same = abs(classical - refined) <= 0.01 * refined
    word = "as" if same else "more" if classical < refined else "less"
    return (
        f"{done} The classical solver, given what the equation is given here, has a mean error of "
        f"{classical:.2g}: it is {word} accurate {'as' if same else 'than'} the {refined:.2g} of "
        f"these predictions. Predicting and refining took {ratio:.2g} times its time."
    )
