"""A row of a benchmark: one piece of work with its identity, done in a process of its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

# What does not change a figure: where files lie, what is shown, whose code may run.
UNSEEN = ("path", "progress", "allow")


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
        code: version of the package, see `code.code_version`.
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


def seen(value: Any) -> Any:
    """Return a config without the keys that change no figure.

    >>> seen({"dataset": {"name": "darcy", "path": "data/darcy"}, "progress": False})
    {'dataset': {'name': 'darcy'}}
    """
    if isinstance(value, Mapping):
        return {k: seen(v) for k, v in value.items() if k not in UNSEEN}
    if isinstance(value, list | tuple):
        return [seen(v) for v in value]
    return value
