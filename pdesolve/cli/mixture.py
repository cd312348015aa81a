"""Mixtures that a config names: `dataset.members` lists sets, with their shares and channels."""

from typing import Any

from .failures import UsageError
from .splits import has_split, open_split

# Keys of a member that `Member` takes as they are.
OPTIONS = ("weight", "time_scale", "filled", "unseen", "shift")


def open_mixtures(config: Any) -> tuple[Any, Any | None, dict[str, Any]]:
    """Return what the mixture `config.dataset` trains, validates and tests on, as `Sets` has them.

    Splits that a member lacks are left out.

    Raises:
        DataError: a file is missing or damaged, or members do not fit together.
        UsageError: the folder of a member is missing, or a holdout is asked for.
    """
    dataset = config.dataset
    if dataset.get("holdout"):
        raise UsageError(
            f"dataset.holdout is {dataset.holdout} for the mixture {dataset.name}, expected none: "
            "its members' splits validate"
        )
    train = open_mixture(dataset, "train", dataset.get("horizon"))
    others = [
        open_mixture(dataset, name) if all(map(_has(name), dataset.members)) else None
        for name in ("valid", "test")
    ]
    return train, others[0], {} if others[1] is None else {"": others[1]}


def open_mixture(dataset: Any, name: str, horizon: Any = None) -> Any:
    """Open one split of each member, through the window of the mixture.

    Of the training split the first `train_samples` of each member, if it or the mixture says so.
    """
    from omegaconf import OmegaConf

    from ..datasets.member import Member
    from ..datasets.mixture import Mixture

    shared = {key: dataset.get(key) for key in ("window", "stride")}
    members = []
    for one in dataset.members:
        merged: Any = OmegaConf.merge(shared, one)
        opened = open_split(merged, name, merged.stride, place="its path in dataset.members")
        count = merged.get("train_samples", dataset.get("train_samples"))
        if name == "train" and count:
            opened = opened.subset(range(count))
        members.append(Member(opened, **_options(one)))
    plain: Any = OmegaConf.to_container(dataset)
    statistics = {k: tuple(v) for k, v in (plain.get("statistics") or {}).items()}
    return Mixture(
        members,
        name=dataset.name,
        quantities=plain.get("quantities"),
        horizon=None if horizon is None else [tuple(pair) for pair in horizon],
        statistics=statistics,
    )


def as_member(opened: Any, dataset: Any) -> Any:
    """Return a dataset as a model of the mixture `dataset` saw it: its channels, its times.

    Raises:
        UsageError: it is none of the members, and they are not all seen alike.
    """
    from ..datasets.member import Member
    from ..datasets.mixture import Mixture

    known = [one for one in dataset.members if one.name == opened.name] or dataset.members
    seen = [{k: v for k, v in _options(one).items() if k != "weight"} for one in known]
    if any(one != seen[0] for one in seen):
        raise UsageError(
            f"data {opened.name} is none of the members {[one.name for one in dataset.members]} of "
            f"{dataset.name}, which differ in {[key for key in OPTIONS if key != 'weight']}: give "
            "the data of a member"
        )
    quantities = dataset.get("quantities")
    if not seen[0] and quantities is None:
        return opened
    return Mixture([Member(opened, **seen[0])], name=opened.name, quantities=quantities)


def _options(member: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(member)
    return {key: plain[key] for key in OPTIONS if key in plain}


def with_horizon(dataset: Any, horizon: Any) -> Any:
    """Return a dataset whose lead times grow with the epochs: a mixture of which it is all."""
    from ..datasets.member import Member
    from ..datasets.mixture import Mixture

    return Mixture([Member(dataset)], name=dataset.name, horizon=[tuple(pair) for pair in horizon])


def _has(name: str) -> Any:
    return lambda member: has_split(member, name)
