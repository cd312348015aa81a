"""A row of a benchmark: one piece of work with its identity, done in a process of its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

# What changes no figure at the top of a config: what is shown, whose code may run.
UNSEEN = ("progress", "allow")


@dataclass(frozen=True)
class Row:
    """One piece of work, complete: its process needs nothing else.

    Args:
        suite, size: whose it is.
        model: stem of the model's file, or the name of the problem or script.
        label: the model's name in tables.
        kind: which worker does it, a key of `worker.WORKERS`.
        variant: which of the model's rows, such as "epochs", "seconds", "samples=50", "cost".
        seed: of the initial weights and of the order of the samples.
        task: what the worker needs, JSON values; the resolved config among them.
        data_hash: of the set that it learns from, "" without one.
        code: version of the package, and of the user's own, see `code.code_of`.
        threads: of its process; sums of several threads round differently.
    """

    suite: str
    size: str
    model: str
    label: str
    kind: str
    variant: str
    seed: int
    task: Mapping[str, Any]
    data_hash: str
    code: str
    threads: int = 1

    @property
    def name(self) -> str:
        """The row's name among those of its suite and size."""
        return f"{self.model}.{self.variant}.{self.seed}"

    @property
    def key(self) -> str:
        """Hash of all that its figures depend on: task, seed, data, code, threads."""
        identity = {
            "kind": self.kind,
            "task": seen(self.task),
            "seed": self.seed,
            "data": self.data_hash,
            "code": self.code,
            "threads": self.threads,
        }
        text = json.dumps(identity, sort_keys=True, allow_nan=False)
        return sha256(text.encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values, its key included."""
        return asdict(self) | {"key": self.key}


def seen(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task without what changes no figure; where data lie is not in it, their hash is.

    >>> seen({"config": {"dataset": {"name": "darcy", "path": "data/darcy"}, "progress": False}})
    {'config': {'dataset': {'name': 'darcy'}}}
    """
    if "config" not in task:
        return dict(task)
    config = {key: value for key, value in task["config"].items() if key not in UNSEEN}
    if "dataset" in config:
        config["dataset"] = _without_paths(config["dataset"])
    return {**task, "config": config}


def _without_paths(value: Any) -> Any:
    """Return the config of one set, or of several, without where they lie."""
    if isinstance(value, Mapping):
        return {k: _without_paths(v) for k, v in value.items() if k != "path"}
    if isinstance(value, list | tuple):
        return [_without_paths(v) for v in value]
    return value
