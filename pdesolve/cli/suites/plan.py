"""The rows of a suite, in the order in which they are run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..configs import config_folder
from ..failures import UsageError
from .code import code_of
from .composed import composed
from .rows import Row
from .suite import Model, Suite

EPOCHS, SECONDS, COST = "epochs", "seconds", "cost"
# How the variant of one number of samples begins, and of one learning rate: by the budget.
SAMPLES = "samples="
RATE = {EPOCHS: "rate=", SECONDS: "seconds_rate="}
# What a user calls all rates of a budget.
RATES = {RATE[EPOCHS]: "rates", RATE[SECONDS]: "seconds_rates"}
FLOORS = {"training_mean": "training mean", "persistence": "persistence"}


def planned(
    suite: Suite, *, threads: int, allow: Sequence[str], models: Sequence[str] = ()
) -> list[Row]:
    """Return the rows of a suite; one whose config cannot be composed says so when it is run.

    Trained models come by seed, so that a table of one seed is whole before the next begins.

    Args:
        suite: whose rows.
        threads: of each row's process.
        allow: further packages that a `_target_` may come from.
        models: names of models, floors, problems or scripts, only whose rows are wanted; () is all.

    Raises:
        UsageError: the suite has none of that name.
    """
    rows = {"train": _trained, "verb": _verbs, "script": _scripts}[suite.plan["kind"]]
    names = names_of(suite)
    if unknown := [name for name in models if name not in names]:
        raise UsageError(f"models are {unknown}, expected some of {', '.join(names)}")
    about = {"suite": suite.name, "size": suite.size, "threads": threads}
    return [
        Row(**about, **one, code=code_of(one["task"], allow))
        for one in rows(suite, models or names, allow)
    ]


def of_variants(rows: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Return the rows of some variants; if none is given, all but the search of learning rates.

    The rates found stand in the models' files, and a suite need not search again for its tables.

    Raises:
        UsageError: no row is of such a variant.
    """
    of = {row.name: _family(row.variant) for row in rows}
    if unknown := [variant for variant in wanted if variant not in of.values()]:
        known = ", ".join(dict.fromkeys(of.values()))
        raise UsageError(f"variants are {unknown}, expected some of {known}")
    chosen = wanted or set(of.values()) - set(RATES.values())
    return [row for row in rows if of[row.name] in chosen]


def _family(variant: str) -> str:
    """Return what a user calls a variant: all learning rates of a budget have one name."""
    return next((name for start, name in RATES.items() if variant.startswith(start)), variant)


def names_of(suite: Suite) -> list[str]:
    """Return the names of a suite's floors and models, problems or scripts, in its order."""
    plan = suite.plan
    if plan["kind"] == "train":
        return [*plan["floors"], *(model.name for model in suite.models)]
    return list(named_overrides(plan) if plan["kind"] == "verb" else plan["scripts"])


def _trained(suite: Suite, names: Sequence[str], allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    plan = suite.plan
    prepared = [_Prepared(suite, model, allow) for model in suite.models if model.name in names]
    floors = [name for name in plan["floors"] if name in names]
    data = _Prepared(suite, Model("floor", "floor", "tfno"), allow)
    yield from (data.floor(name) for name in floors)
    first, *others = plan["seeds"]
    yield from (model.trained(EPOCHS, first) for model in prepared)
    yield from (model.trained(SECONDS, first) for model in prepared)
    yield from (model.cost() for model in prepared)
    yield from (model.trained(EPOCHS, seed) for seed in others for model in prepared)
    for samples in plan["samples"]:
        yield from (model.curve(samples) for model in prepared)
    yield from (model.trained(SECONDS, seed) for seed in others for model in prepared)
    for budget in RATE:
        for rate in plan.get("rates", ()):
            yield from (model.searched(rate, budget) for model in prepared)


class _Prepared:
    """A model with the config of its runs, which is composed once."""

    def __init__(self, suite: Suite, model: Model, allow: Sequence[str]):
        self.model, self.plan = model, suite.plan
        self._same = [*suite.plan["train"], "progress=false", f"allow=[{','.join(allow)}]"]
        self._own = model.overrides_for(suite.name, suite.size)
        self._own_timed = model.overrides_for(suite.name, suite.size, SECONDS)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config, or {"broken": why there is none}."""
        return self._composed(self._own)

    @cached_property
    def timed_config(self) -> dict[str, Any]:
        """The same of equal time, which may have a learning rate of its own."""
        return self.config if self._own_timed == self._own else self._composed(self._own_timed)

    def _composed(self, own: Sequence[str]) -> dict[str, Any]:
        operator = self.model.operator
        named = isinstance(operator, str)
        overrides = [f"operator={operator}"] if named else []
        overrides += [*self._same, *own]
        return composed_or_broken("train", overrides, None if named else operator)

    def trained(self, variant: str, seed: int) -> dict[str, Any]:
        """Return the row of equal epochs, or of equal seconds."""
        return self._row("train", variant, seed, self._task(variant, self.plan[variant]))

    def curve(self, samples: int) -> dict[str, Any]:
        """Return the row of fewer samples; its epochs make as many steps as all samples would."""
        task = self._task(EPOCHS, self.plan["epochs"]) | {"steps_of": self.plan["all_samples"]}
        if "dataset" in task["config"]:
            task["config"]["dataset"]["train_samples"] = samples
        return self._row("train", f"{SAMPLES}{samples}", self.plan["seeds"][0], task)

    def searched(self, rate: float, budget: str) -> dict[str, Any]:
        """Return the row of one learning rate, judged by the validation split alone."""
        task = self._task(budget, self.plan[f"rate_{budget}"])
        if "optimizer" in task["config"]:
            task["config"]["optimizer"]["lr"] = rate
        task["judged"] = "valid"
        return self._row("train", f"{RATE[budget]}{rate:g}", self.plan["seeds"][0], task)

    def cost(self) -> dict[str, Any]:
        """Return the row of time and memory on several grids."""
        return self._row("cost", COST, 0, {"config": self.config, "grids": self.plan["grids"]})

    def floor(self, name: str) -> dict[str, Any]:
        """Return the row of a predictor that learns nothing but a mean."""
        row = self._row("floor", EPOCHS, 0, {"config": self.config, "predictor": name})
        return row | {"model": name, "label": FLOORS[name]}

    def _task(self, budget: str, amount: float) -> dict[str, Any]:
        """Return the task of so many epochs, or of so many seconds."""
        timed = budget == SECONDS
        config = json.loads(json.dumps(self.timed_config if timed else self.config))
        if "trainer" in config:
            config["trainer"]["epochs"] = 1 if timed else amount
        return {"config": config, "seconds": amount if timed else None}

    def _row(self, kind: str, variant: str, seed: int, task: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "label": self.model.label,
            "kind": kind,
            "variant": variant,
            "seed": seed,
            "task": task,
            "data_hash": data_hash_of(self.config),
        }


def suite_data_hash(suite: Suite) -> str:
    """Return the hash of the data that all trained models of a suite share, "" if not at hand."""
    if suite.plan["kind"] != "train":
        return ""
    return data_hash_of(_Prepared(suite, Model("floor", "floor", "tfno"), ()).config)


def data_hash_of(config: Mapping[str, Any]) -> str:
    """Return the hash in the manifest of a config's data, "" where there is none."""
    if "dataset" not in config:
        return ""
    manifest = Path(config["dataset"]["path"]) / "MANIFEST.json"
    return json.loads(manifest.read_text())["data_hash"] if manifest.is_file() else ""


def composed_or_broken(verb: str, overrides: Sequence[str], operator: Any = None) -> dict[str, Any]:
    """Return the config of a verb, or {"broken": why there is none}: the row's reason, then."""
    try:
        return composed(verb, overrides, operator)
    except Exception as error:  # Of whatever kind, it is this row's, not the suite's.
        return {"broken": str(error).partition("\n")[0]}


def named_overrides(plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a verb by name: `rows`, or one for each file of a group.

    A row has `overrides`, and `of` where it needs a trained model: which one of `plan["train"]`.
    """
    if group := plan.get("each"):
        files = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
        return {name: {"overrides": [f"{group}={name}"]} for name in plan.get("only") or files}
    return dict(plan["rows"])


def _verbs(suite: Suite, names: Sequence[str], allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    plan, allowed = suite.plan, f"allow=[{','.join(allow)}]"
    verb = plan["verb"]
    for name, row in named_overrides(plan).items():
        if name not in names:
            continue
        given = [*row["overrides"], *plan["overrides"], allowed]
        task: dict[str, Any] = {"verb": verb, "overrides": given, "config": {}}
        if "of" in row:
            # Its `run` is known only where the row is done.
            train = [*plan["train"][row["of"]], "progress=false", allowed]
            task |= {"train": train, "config": composed_or_broken("train", train)}
        else:
            task["config"] = composed_or_broken(verb, given)
        yield _plain(name, "verb", task) | {"data_hash": data_hash_of(task["config"])}


def _scripts(suite: Suite, names: Sequence[str], allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    del allow
    for name, arguments in suite.plan["scripts"].items():
        if name in names:
            yield _plain(name, "script", {"script": f"speed/{name}.py", "arguments": arguments})


def _plain(name: str, kind: str, task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": name,
        "label": name.replace("_", " "),
        "kind": kind,
        "variant": kind,
        "seed": 0,
        "task": task,
        "data_hash": "",
    }
