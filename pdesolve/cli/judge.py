"""A trained model judged on test sets: figures with their references, pictures, one page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import application
from .sets import Sets, equation_of, residual_of


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
    from .. import evaluation
    from ..evaluation.pictures import gallery, loss_picture
    from ..evaluation.refinement import estimate_picture
    from ..evaluation.report import flat_metrics, write_report
    from .refinable import estimator_of, unseen_of

    device = next(model.parameters()).device
    metrics, references, pictures = dict(run_figures or {}), {}, []
    for label, test in sets.test.items():
        prefix = f"test{label}"
        values = evaluation.per_sample(
            model,
            test,
            residual=residual_of(test),
            estimate=estimator_of(test) if estimate else None,
            device=device,
        )
        refuse_wild(values["l2"], prefix)
        metrics |= named(prefix, evaluation.summarize(values))
        for reference, figures in compared(model, sets, label, device).items():
            references.setdefault(reference, {}).update(named(prefix, figures))
        pictures += gallery(
            model,
            test,
            values["l2"],
            training_grid=sets.train.grid if label else None,
            prefix=f"{prefix}_" if label else "",
            device=device,
        )
        if "estimated" in values:
            write_errors(folder / f"errors{label}.csv", values)
            start = f"{prefix}_" if label else ""
            pictures.append(estimate_picture(values["estimated"], values["l2"], prefix=start))
        rolled = trajectories(test)
        if groups and not rolled:
            metrics |= medians(evaluation.grouped_errors, model, test, prefix, groups, device)
        for member, part in rolled.items():
            figures, still, drawn = rolled_out(model, part, f"{prefix}{member}", device, groups)
            metrics |= figures
            references.setdefault("persistence", {}).update(still)
            pictures += drawn
    if history:
        pictures.append(loss_picture(history))
    told = any("/estimated" in name for name in metrics)
    unseen = unseen_of(sets.test[""]) if told else {}
    findings = found(title, metrics, references, pictures, sets, config, device, unseen)
    write_report(folder, findings)
    return flat_metrics(findings)


def write_errors(path: Path, values: Mapping[str, Any]) -> None:
    """Write the error of each sample beside the one that the equation estimates."""
    pairs = zip(values["l2"].tolist(), values["estimated"].tolist(), strict=True)
    lines = [f"{k},{true:.6g},{told:.6g}" for k, (true, told) in enumerate(pairs)]
    application.write_text(path, "\n".join(["sample,l2,estimated", *lines, ""]))


def refuse_wild(l2: Any, name: str) -> None:
    """Raise ArithmeticError where predictions are not finite: no figure can be told of them."""
    wild = int((~l2.isfinite()).sum())
    if wild:
        raise ArithmeticError(
            f"{wild} of {len(l2)} predictions on {name} are not finite: train again with a smaller "
            "optimizer.lr, or with trainer.clip_norm=1"
        )


def compared(model: Any, sets: Sets, label: str, device: Any) -> dict[str, dict[str, float]]:
    """Return the l2 and h1 of the references on one test set, by the name of the reference.

    The training mean is a field at the training resolution; elsewhere the reference is the rival.
    """
    from .. import evaluation

    if not label:
        mean = evaluation.training_mean(sets.train)
        figures = evaluation.evaluate(mean, sets.test[""], device=device)
        return {"training mean": {name: figures[name] for name in ("l2", "h1") if name in figures}}
    # A boundary value that the equation tells is no secret from the rival.
    wall = getattr(equation_of(sets.train), "boundary_value", None)
    coarse, fine = sets.test[""], sets.test[label]
    figures = evaluation.across_resolutions(model, coarse, fine, wall_value=wall, device=device)
    known = [name for name in ("l2", "h1") if f"interpolated_{name}" in figures]
    return {"interpolation": {name: figures[f"interpolated_{name}"] for name in known}}


def trajectories(dataset: Any) -> dict[str, Any]:
    """Return what a model can be rolled out on: a dataset of frames, each such member of a mixture.

    The key is "", or "/MEMBER" where there are several.
    """
    from ..datasets import Mixture, Pairs, Window

    if not isinstance(dataset, Mixture):
        return {"": dataset} if isinstance(dataset.window, Pairs | Window) else {}
    members = zip(dataset.members, dataset.alone(), strict=True)
    found = [one for m, one in members if isinstance(m.dataset.window, Pairs | Window)]
    if len(found) == 1:
        return {"": found[0]}
    names = [one.name for one in found]
    alike = len(set(names)) < len(names)
    keys = [f"/{name}_{k}" if alike else f"/{name}" for k, name in enumerate(names)]
    return dict(zip(keys, found, strict=True))


def medians(
    errors: Any, model: Any, dataset: Any, prefix: str, groups: Any, device: Any, **options: Any
) -> dict[str, float]:
    """Return the median errors by quantity, of physical fields and of those that are normalised."""
    from ..evaluation import median_error
    from ..layers import Normalized

    spaces = {"": False, "_normalized": True} if isinstance(model, Normalized) else {"": False}
    return {
        f"{prefix}/median_l1{name}": median_error(
            errors(model, dataset, tuple(groups), normalized=normalized, device=device, **options)
        )
        for name, normalized in spaces.items()
    }


def rolled_out(
    model: Any, dataset: Any, prefix: str, device: Any, groups: Any = None
) -> tuple[dict[str, float], dict[str, float], list[Any]]:
    """Return the figures of rollouts, those of standing still, and the pictures."""
    from .. import evaluation
    from ..datasets.windows import LEAD_TIME
    from ..evaluation.pictures import rollout_movie, rollout_picture

    errors = evaluation.rollout_errors(model, dataset, device=device)
    figures = named(f"{prefix}/rollout", errors.figures())
    # Two calls can make up one where there are two steps to go.
    leads = dataset.condition_names[:1] == (LEAD_TIME,) and len(errors.times) > 1
    if leads:
        defects = evaluation.semigroup_defects(model, dataset, device=device)
        figures[f"{prefix}/semigroup"] = float(defects.mean())
    # A window's targets may be several frames, which the groups then count.
    if groups and sum(groups) == dataset.rolled().out_channels // len(errors.times):
        told = evaluation.final_errors, model, dataset
        figures |= medians(*told, f"{prefix}/rollout", groups, device)
        if leads:
            hops = [len(errors.times)]
            figures |= medians(*told, f"{prefix}/one_call", groups, device, hops=hops)
    start = "" if prefix == "test" else prefix.replace("/", "_") + "_"
    drawn = [
        rollout_picture(errors, prefix=start),
        rollout_movie(model, dataset, errors, prefix=start, device=device),
    ]
    member = prefix.partition("/")[2]
    if member:
        drawn = [replace(one, caption=f"{member}: {one.caption}") for one in drawn]
    return figures, named(f"{prefix}/rollout", errors.persistence_figures()), drawn


def named(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures with the name of their test set in front."""
    return {f"{prefix}/{name}": value for name, value in figures.items()}


def found(
    title: str,
    metrics: Any,
    references: Any,
    pictures: Any,
    sets: Sets,
    config: Any,
    device: Any,
    unseen: Mapping[str, str],
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
        metrics=metrics,
        references=references,
        pictures=pictures,
        unseen=unseen,
        dataset=data,
        environment=dict(environment(device)),
        command=application.command(),
        configuration=OmegaConf.to_yaml(config),
    )
