"""What a model does when it is called on its own predictions: figures and moving pictures."""

from dataclasses import replace
from typing import Any

from .figures import named


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
