"""A benchmark as its YAML files say it: configs/benchmark/NAME.yaml and the models beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..configs import config_folder
from ..failures import UsageError

# What a model's file may say of its training: all else is the same for all models.
OWN = ("operator", "optimizer", "schedule")
# Of every suite.
SIZES = ("smoke", "cpu", "paper")
# Keys of a figure of others.
PUBLISHED = {"suite", "quantity", "value", "setting", "source", "status"}


@dataclass(frozen=True)
class Model:
    """A line of a suite's table, one YAML file of configs/benchmark/model.

    Args:
        name: stem of the file.
        label: what tables call it.
        operator: name of a file of configs/operator, or the operator itself with its `_target_`.
        overrides: of `pdesolve train`, by where they hold: "all", a suite, a size, "suite/size",
            "suite/size/seconds" (rows of equal time). Of operator, optimizer and schedule only.
        suites: those that have this model; empty: all that train models.
        published: figures of others, each with suite, quantity, value, setting, source, status.

    Raises:
        ValueError: one of these is not what is said here.
    """

    name: str
    label: str
    operator: Any
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    suites: Sequence[str] = ()
    published: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self):
        named = isinstance(self.operator, Mapping) and "_target_" in self.operator
        if not (isinstance(self.operator, str) or named):
            raise ValueError(
                f"operator is {self.operator!r}, expected a name of configs/operator or a mapping "
                "with _target_"
            )
        if not (isinstance(self.suites, list | tuple) and set(self.suites) <= set(_suites())):
            raise ValueError(
                f"suites is {self.suites!r}, expected a list of some of {', '.join(_suites())}"
            )
        if not isinstance(self.overrides, Mapping):
            raise ValueError(f"overrides is {self.overrides!r}, expected lists by where they hold")
        for place, given in self.overrides.items():
            _check_overrides(place, given)
        for one in self.published:
            if not (isinstance(one, Mapping) and set(one) == PUBLISHED):
                raise ValueError(f"published has {one!r}, expected {', '.join(sorted(PUBLISHED))}")

    def overrides_for(self, suite: str, size: str, variant: str = "") -> list[str]:
        """Return the overrides that hold for a suite at a size; the more special one of a key."""
        places = ("all", size, suite, f"{suite}/{size}", f"{suite}/{size}/{variant}")
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
    known = _suites()
    if name not in known:
        raise UsageError(f"no suite {name!r}: {_hint(name, known)}")
    told = _read(folder / f"{name}.yaml")
    sizes = told.pop("sizes")
    if size not in sizes:
        raise UsageError(f"suite {name} has no size {size!r}: {_hint(size, list(sizes))}")
    plan = told | sizes[size]
    folders = [folder / "model"] + ([Path(model_folder)] if model_folder else [])
    models = read_models(folders) if plan.get("kind") == "train" else []
    _refuse_same_names([*plan.get("floors", []), *(model.name for model in models)])
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
            except (TypeError, ValueError) as error:
                raise UsageError(f"{path} does not describe a model: {error}") from error
    return models


def _suites() -> list[str]:
    return sorted(path.stem for path in (config_folder() / "benchmark").glob("*.yaml"))


def _check_overrides(place: str, given: Any) -> None:
    """Raise ValueError where nothing is of that name, or where models would not be equal."""
    both = [f"{suite}/{size}" for suite in _suites() for size in SIZES]
    if place not in ("all", *SIZES, *_suites(), *both, *(f"{one}/seconds" for one in both)):
        raise ValueError(
            f"overrides hold for {place!r}, expected all, a size ({', '.join(SIZES)}), a suite "
            f"({', '.join(_suites())}), SUITE/SIZE or SUITE/SIZE/seconds"
        )
    if not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
        raise ValueError(f"overrides.{place} is {given!r}, expected a list of KEY=VALUE")
    for one in given:
        if one.lstrip("+~").partition("=")[0].partition(".")[0] not in OWN:
            raise ValueError(
                f"overrides.{place} has {one!r}, expected keys of {', '.join(OWN)}: all else "
                "is the same for all models"
            )


def _refuse_same_names(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"two models or floors are named {twice[0]!r}: give your file another name"
        )


def _read(path: Path) -> dict[str, Any]:
    """Return the mapping of a YAML file.

    Raises:
        ValueError: it is not one.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds {type(found).__name__}, expected keys and values")
    return found


def _hint(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"
