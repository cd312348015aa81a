"""The command `pdesolve VERB ...`: finds the verb, runs it, turns failures into exit codes."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..version import __version__
from .failures import exit_code_of

# Verb: what it does. Each is a module of this room with a `main(arguments)`.
VERBS = {
    "generate": "make a dataset with an equation's reference solver",
    "train": "train an operator on a dataset, evaluate it and write a report",
    "evaluate": "measure a trained model on a dataset, at any stored resolution",
    "predict": "write the predictions of a trained model for a dataset",
    "refine": "estimate and correct the errors of predictions by the equation itself",
    "export": "write a trained model as torch.export and ONNX files",
    "benchmark": "run a suite of models and problems, one table of all",
    "solve": "solve an equation without data by a Gaussian process",
    "data": "inspect, verify or convert data files",
}

USAGE = """\
usage: pdesolve VERB [arguments]

{verbs}

pdesolve VERB --help tells what a verb takes; all but data take
Hydra overrides (group=choice key=value, -m for sweeps). Exit codes: 0 done, 2 usage or
config, 3 data, 4 numerical failure, 5 rows of a benchmark failed, 130 interrupted, 143 terminated.
Set HYDRA_FULL_ERROR=1 for the full traceback of an error."""


def usage() -> str:
    """Return the text of `pdesolve --help`."""
    width = max(map(len, VERBS))
    return USAGE.format(verbs="\n".join(f"  {v:<{width}}  {what}" for v, what in VERBS.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(__version__)
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        print(_unknown_verb(verb), file=sys.stderr)
        return 2
    full_errors = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        return import_module(f".{verb}", __package__).main(rest) or 0
    except BaseException as error:
        code = exit_code_of(error)
        if code is None or full_errors:
            raise
        print(f"pdesolve {verb}: {said(error)}", file=sys.stderr)
        return code


def said(error: BaseException) -> str:
    """Return what an error tells, with the way out where Python's own words lack it."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{error}: make room and give the same command again"
    return str(error)


def _unknown_verb(verb: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(VERBS)}"
    return f"pdesolve: unknown verb {verb!r}: {hint}"
