"""The rows of a suite, in the order in which they are run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .code import code_version
from .composed import composed
from .rows import Row
from .suite import Model, Suite

EPOCHS, SECONDS, COST = "epochs", "seconds", "cost"
FLOORS = {"training_mean": "training mean", "persistence": "persistence"}


def planned(suite: Suite, *, threads: int, allow: Sequence[str]) -> list[Row]:
    """Return the rows of a suite; a row whose config cannot be composed says so when it is run.

    Trained models come by seed, so that a table of one seed is whole before the next begins.
    """
    rows = {"train": _trained, "verb": _verbs, "script": _scripts}[suite.plan["kind"]]
    about = {"suite": suite.name, "size": suite.size, "code": code_version(), "threads": threads}
    return [Row(**about, **one) for one in rows(suite, allow)]


def _trained(suite: Suite, allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    plan = suite.plan
    prepared = [_Prepared(suite, model, allow) for model in suite.models]
    floors = _Prepared(suite, Model("tfno", "floor", "tfno"), allow)
    yield from (floors.floor(name) for name in plan["floors"])
    first, *others = plan["seeds"]
    yield from (model.trained(EPOCHS, first) for model in prepared)
    yield from (model.trained(SECONDS, first) for model in prepared)
    yield from (model.cost() for model in prepared)
    yield from (model.trained(EPOCHS, seed) for seed in others for model in prepared)
    for samples in plan["samples"]:
        yield from (model.curve(samples) for model in prepared)
    yield from (model.trained(SECONDS, seed) for seed in others for model in prepared)


class _Prepared:
    """A model with the config of its runs, which is composed once."""

    def __init__(self, suite: Suite, model: Model, allow: Sequence[str]):
        self.model, self.plan = model, suite.plan
        overrides = [*suite.plan["train"], *model.overrides_for(suite.name, suite.size)]
        overrides += ["progress=false", f"allow=[{','.join(allow)}]"]
        named = isinstance(model.operator, str)
        try:
            choice = [f"operator={model.operator}"] if named else []
            self.config = composed(
                "train", [*choice, *overrides], None if named else model.operator
            )
        except Exception as error:  # Of whatever kind, it is this model's, not the suite's.
            self.config = {"broken": str(error)}

    def trained(self, variant: str, seed: int) -> dict[str, Any]:
        """Return the row of equal epochs, or of equal seconds."""
        seconds = self.plan["seconds"] if variant == SECONDS else None
        return self._row("train", variant, seed, self._task(self.plan["epochs"], seconds))

    def curve(self, samples: int) -> dict[str, Any]:
        """Return the row of fewer samples; its epochs make as many steps as all samples would."""
        task = self._task(round(self.plan["epochs"] * self.plan["all_samples"] / samples), None)
        if "dataset" in task["config"]:
            task["config"]["dataset"]["train_samples"] = samples
        return self._row("train", f"samples={samples}", self.plan["seeds"][0], task)

    def cost(self) -> dict[str, Any]:
        """Return the row of time and memory on several grids."""
        return self._row("cost", COST, 0, {"config": self.config, "grids": self.plan["grids"]})

    def floor(self, name: str) -> dict[str, Any]:
        """Return the row of a predictor that learns nothing but a mean."""
        row = self._row("floor", EPOCHS, 0, {"config": self.config, "predictor": name})
        return row | {"model": name, "label": FLOORS[name]}

    def _task(self, epochs: int, seconds: float | None) -> dict[str, Any]:
        config = json.loads(json.dumps(self.config))
        if "trainer" in config:
            config["trainer"]["epochs"] = epochs if seconds is None else 1
        return {"config": config, "seconds": seconds}

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


def data_hash_of(config: Mapping[str, Any]) -> str:
    """Return the hash in the manifest of a config's data, "" where there is none."""
    if "dataset" not in config:
        return ""
    manifest = Path(config["dataset"]["path"]) / "MANIFEST.json"
    return json.loads(manifest.read_text())["data_hash"] if manifest.is_file() else ""


def _verbs(suite: Suite, allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a verb: one for each name of `rows`, or of a group's YAML files."""
    from ..configs import config_folder

    plan = suite.plan
    named = plan.get("rows") or {}
    if group := plan.get("each"):
        names = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
        named = {name: [f"{group}={name}"] for name in plan.get("only") or names}
    for name, overrides in named.items():
        task = {"verb": plan["verb"], "overrides": [*overrides, *plan["overrides"]]}
        try:
            task["config"] = composed(plan["verb"], task["overrides"])
        except Exception as error:  # The verb says it again, as the row's reason.
            task["config"] = {"broken": str(error)}
        yield _plain(name, "verb", task)
    del allow


def _scripts(suite: Suite, allow: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each script of benchmarks/speed that the size names."""
    del allow
    for name, arguments in suite.plan["scripts"].items():
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
