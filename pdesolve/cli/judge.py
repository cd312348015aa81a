"""A trained model judged on test sets: figures with their references, pictures, one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import application
from .figures import compared, model_device, named, sample_errors
from .rollouts import medians, rolled_out, trajectories
from .sets import Sets


def judge(
    model: Any,
    sets: Sets,
    folder: Path,
    config: Any,
    *,
    title: str,
    history: Sequence[Mapping[str, Any]] = (),
    run_figures: Mapping[str, float] | None = None,
    groups: Sequence[int] | None = None,
    estimate: bool = False,
) -> dict[str, Any]:
    """Return `test/...` and `test@33/...` figures and write `report.html` with its pictures.

    With frames as inputs there are also `test/rollout/l2`, over all later frames, and
    `test/rollout/l2@TIME`, both of rollouts; the other figures are of single calls. With lead times
    `test/semigroup` says how far two calls are from one over both their times. Of a mixture each
    member has these figures, `test/MEMBER/rollout/l2` and so on, and its own pictures.

    With groups there is `test/median_l1`, or of trajectories `test/rollout/median_l1` and
    `test/one_call/median_l1` at the last time, of physical and of normalised fields: the error
    from which Poseidon's gains are taken.

    Beside each figure stand what a reader should compare it with: the training mean, and at
    another resolution the trivial rival, predicting at the training resolution and interpolating.

    Args:
        model: predicts physical fields.
        sets: the training set gives the mean, the test sets judge.
        folder: of the run.
        config: the run's config, shown in the report; `config.trainer` is not needed.
        title: of the page.
        history: the log of the training, if there was one.
        run_figures: figures of the run itself, such as seconds and parameters.
        groups: channels of each quantity, if the model learned by quantities.
        estimate: ask the equation for the error of each prediction, where it can be asked.
    """
    from ..evaluation.pictures import loss_picture
    from ..evaluation.report import flat_metrics, write_report
    from .refinable import unseen_of

    judged = _Judged(dict(run_figures or {}))
    for label in sets.test:
        judged.add_set(model, sets, label, folder, groups=groups, estimate=estimate)
    if history:
        judged.pictures.append(loss_picture(history))
    told = any("/estimated" in name for name in judged.metrics)
    unseen = unseen_of(sets.test[""]) if told else {}
    findings = judged.findings(title, sets, config, model_device(model), unseen)
    write_report(folder, findings)
    return flat_metrics(findings)


@dataclass
class _Judged:
    """What is known of a model, gathered set by set.

    Args:
        metrics: its figures.
        references: figures of what it is compared with, by the name of the reference.
        pictures: of the report.
    """

    metrics: dict[str, float]
    references: dict[str, dict[str, float]] = field(default_factory=dict)
    pictures: list[Any] = field(default_factory=list)

    def add_set(
        self, model: Any, sets: Sets, label: str, folder: Path, *, groups: Any, estimate: bool
    ) -> None:
        """Judge the model on the test set of a label."""
        from .. import evaluation
        from ..evaluation.pictures import gallery
        from ..evaluation.refinement import estimate_picture

        test, device, name = sets.test[label], model_device(model), f"test{label}"
        start = f"{name}_" if label else ""
        values = sample_errors(model, test, name, device, estimate=estimate)
        self.metrics |= named(name, evaluation.summarize(values))
        for reference, figures in compared(model, sets, label, device).items():
            self.compare(reference, named(name, figures))
        seen = sets.train.grid if label else None
        l2 = values["l2"]
        self.pictures += gallery(model, test, l2, training_grid=seen, prefix=start, device=device)
        if "estimated" in values:
            write_errors(folder / f"errors{label}.csv", values)
            self.pictures.append(estimate_picture(values["estimated"], l2, prefix=start))
        rolled = trajectories(test)
        if groups and not rolled:
            self.metrics |= medians(evaluation.grouped_errors, model, test, name, groups, device)
        for member, part in rolled.items():
            figures, still, drawn = rolled_out(model, part, f"{name}{member}", device, groups)
            self.metrics |= figures
            self.compare("persistence", still)
            self.pictures += drawn

    def compare(self, reference: str, figures: Mapping[str, float]) -> None:
        """Note the figures of a reference."""
        self.references.setdefault(reference, {}).update(figures)

    def findings(
        self, title: str, sets: Sets, config: Any, device: Any, unseen: Mapping[str, str]
    ) -> Any:
        """Return everything that the page shows."""
        from omegaconf import OmegaConf

        from ..evaluation.report import Findings, environment

        train, tests = sets.train, next(iter(sets.test.values()), None)
        points = train.y.shape[2:] if train.grid is None else train.grid.shape
        where = " x ".join(map(str, points))
        summary = (
            f"{', '.join(train.input_names)} to {', '.join(train.output_names)} on {where} points, "
            f"{len(train)} training and {len(tests) if tests else 0} test samples."
        )
        data = {"name": train.name, "path": str(train.path), "training data hash": train.data_hash}
        data |= {f"test{label} data hash": test.data_hash for label, test in sets.test.items()}
        return Findings(
            title=title,
            summary=summary,
            metrics=self.metrics,
            references=self.references,
            pictures=self.pictures,
            unseen=unseen,
            dataset=data,
            environment=dict(environment(device)),
            command=application.command(),
            configuration=OmegaConf.to_yaml(config),
        )


def write_errors(path: Path, values: Mapping[str, Any]) -> None:
    """Write the error of each sample beside the one that the equation estimates."""
    pairs = zip(values["l2"].tolist(), values["estimated"].tolist(), strict=True)
    lines = [f"{k},{true:.6g},{told:.6g}" for k, (true, told) in enumerate(pairs)]
    application.write_text(path, "\n".join(["sample,l2,estimated", *lines, ""]))
