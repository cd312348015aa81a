"""A benchmark as its YAML files say it: configs/benchmark/NAME.yaml and the models beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..configs import config_folder
from ..failures import UsageError


@dataclass(frozen=True)
class Model:
    """A line of a suite's table, one YAML file of configs/benchmark/model.

    Args:
        name: stem of the file.
        label: what tables call it.
        operator: name of a file of configs/operator, or the operator itself with its `_target_`.
        overrides: of `pdesolve train`, by where they hold: "all", a suite, a size, "suite/size".
        suites: those that have this model; empty: all that train models.
        published: figures of others, each with suite, quantity, value, setting, source, status.
    """

    name: str
    label: str
    operator: Any
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    suites: Sequence[str] = ()
    published: Sequence[Mapping[str, Any]] = ()

    def overrides_for(self, suite: str, size: str) -> list[str]:
        """Return the overrides that hold for a suite at a size; the more special one of a key."""
        places = ("all", size, suite, f"{suite}/{size}")
        given = [one for place in places for one in self.overrides.get(place, ())]
        return list({one.partition("=")[0]: one for one in given}.values())


@dataclass(frozen=True)
class Suite:
    """A suite at one size.

    Args:
        name, size: what the command line says.
        title, about: for people.
        plan: the size's section, upon what all sizes share; see configs/benchmark/darcy.yaml.
        models: whose rows it has.
    """

    name: str
    size: str
    title: str
    about: str
    plan: Mapping[str, Any]
    models: Sequence[Model]


def read_suite(name: str, size: str, model_folder: str | None = None) -> Suite:
    """Return a suite of configs/benchmark at a size.

    Args:
        name: of its file.
        size: a section of its `sizes`.
        model_folder: YAML files of further models, of the user's own.

    Raises:
        UsageError: there is no such suite or size, or a model's file says what no model has.
    """
    folder = config_folder() / "benchmark"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no suite {name!r}: {_hint(name, known)}")
    told = _read(folder / f"{name}.yaml")
    sizes = told.pop("sizes")
    if size not in sizes:
        raise UsageError(f"suite {name} has no size {size!r}: {_hint(size, list(sizes))}")
    plan = told | sizes[size]
    folders = [folder / "model"] + ([Path(model_folder)] if model_folder else [])
    models = read_models(folders) if plan.get("kind") == "train" else []
    models = [model for model in models if not model.suites or name in model.suites]
    return Suite(name, size, told.pop("title"), told.pop("about"), plan, models)


def read_models(folders: Sequence[Path]) -> list[Model]:
    """Return the models of some folders in the order of their file names, folder by folder.

    Raises:
        UsageError: a folder is not there, or a file lacks a key or has one that is not known.
    """
    models = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"model_folder {folder} is not there, expected YAML files of models")
        for path in sorted(folder.glob("*.yaml")):
            try:
                models.append(Model(path.stem, **_read(path)))
            except TypeError as error:
                raise UsageError(f"{path} does not describe a model: {error}") from error
    return models


def _read(path: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _hint(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"
