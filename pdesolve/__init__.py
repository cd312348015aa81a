"""Generate, learn, refine, solve and compare partial differential equations."""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .artifacts import load as load
    from .artifacts import save as save
    from .batch import Batch as Batch
    from .grid import Grid as Grid
    from .solution import ConvergenceError as ConvergenceError
    from .solution import Solution as Solution

# Resolved on first use: `pdesolve --help` needs none of them, and each of them needs torch.
_HOME = {
    "Batch": ".batch",
    "ConvergenceError": ".solution",
    "Grid": ".grid",
    "Solution": ".solution",
    "load": ".artifacts",
    "save": ".artifacts",
}
_ROOMS = (
    "artifacts", "datasets", "evaluation", "gp", "layers", "losses", "operators", "ops", "pde",
    "training",
)  # fmt: skip

__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name in _HOME:
        value = getattr(import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'pdesolve' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_ROOMS])
