"""A verb as a Hydra application: overrides checked, one folder a run, errors left to `main`."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from .configs import completed, config_folder
from .failures import UsageError
from .sets import sized


def run(verb: str, task: Callable[[Any, Path], dict[str, float]], arguments: Sequence[str]) -> None:
    """Compose the config of a verb and call `task(config, folder)` in its run folder.

    The task returns its figures. They are written to `metrics.json` beside `config.yaml`, and the
    folder's path is the last line printed. With -m every combination of overrides runs in turn.

    Raises:
        UsageError: an override that the config does not know.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    flags, typed = flags_and_overrides(arguments)
    runs_nothing = {"-h", "--help", "--hydra-help", "--info", "--version"} & set(flags)
    overrides = typed if runs_nothing else completed(verb, typed)
    OmegaConf.register_new_resolver("started", lambda: _STARTED, replace=True)

    runs: list[tuple[str, dict[str, float]]] = []
    failures: list[Exception] = []

    def one_run(config: Any) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        refuse_allow_from_file(config, typed)
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise UsageError(f"{missing[0]} is not given: add {missing[0]}=... to the command")
        OmegaConf.resolve(config)
        if "size" in config and "dataset" in config:
            config.dataset = sized(config)
        write_text(folder / "config.yaml", OmegaConf.to_yaml(config))
        metrics = task(config, folder)
        if metrics:
            write_text(folder / "metrics.json", json.dumps(metrics, indent=1, sort_keys=True))
        runs.append((str(relative(folder)), metrics))
        print(relative(folder), flush=True)

    @hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=verb)
    def application(config: Any) -> None:
        # Raised again below: Hydra would print a headline of its own first.
        try:
            one_run(config)
        except Exception as error:
            failures.append(error)

    with _hydra_environment([f"pdesolve {verb}", *overrides, f"hydra.job.name={verb}", *flags]):
        application()
    if len(runs) > 1:
        print_sweep(runs)
    if failures:
        raise failures[0]


def flags_and_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags with their values, and the overrides; it wants them apart.

    >>> flags_and_overrides(["a=1", "-m", "b=2,3", "--config-dir", "mine"])
    (['-m', '--config-dir', 'mine'], ['a=1', 'b=2,3'])
    """
    flags, overrides = [], []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        flags.append(argument)
        if argument in ("--config-dir", "-cd", "--config-name", "-cn", "--package", "-p"):
            flags.append(next(rest, ""))
    return flags, overrides


@contextmanager
def _hydra_environment(argv: list[str]) -> Iterator[None]:
    """Give Hydra what it reads from the process, and take it back."""
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    # Full errors make Hydra raise instead of printing and exiting by its own codes.
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = argv, "1"
    try:
        yield
    finally:
        sys.argv = before[0]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before[1]


# One name for all processes of a run; microseconds keep two runs of one second apart.
_STARTED = datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
if "TORCHELASTIC_RUN_ID" in os.environ:
    # torchrun's id is the same in every process; the time is not.
    _STARTED = f"torchrun/{os.environ['TORCHELASTIC_RUN_ID']}-{os.environ['MASTER_PORT']}"


def command() -> str:
    """Return what was typed for the run in progress."""
    from hydra.core.hydra_config import HydraConfig

    config = HydraConfig.get()
    return shlex.join(["pdesolve", config.job.name, *config.overrides.task])


def refuse_allow_from_file(config: Any, typed: Sequence[str]) -> None:
    """Raise UsageError when `allow` was widened by a config file, not by the command line."""
    if config.get("allow") and not any(o.lstrip("+").startswith("allow=") for o in typed):
        raise UsageError(
            f"allow is {list(config.allow)} in a config file: it may only be given on the command "
            "line, since it decides whose code may run"
        )


def print_sweep(runs: Sequence[tuple[str, dict[str, float]]]) -> None:
    """Print the figures of a sweep's runs side by side, with their mean and standard deviation."""
    from statistics import mean, stdev

    from rich.console import Console
    from rich.table import Table

    names = [n for n in runs[0][1] if all(n in metrics for _, metrics in runs)]
    table = Table("figure", *(Path(folder).name for folder, _ in runs), "mean", "std")
    for name in sorted(names):
        values = [metrics[name] for _, metrics in runs]
        table.add_row(name, *(f"{v:.5g}" for v in [*values, mean(values), stdev(values)]))
    Console(width=max(map(len, names)) + 14 * (len(runs) + 2) + 8).print(table)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def relative(path: Path) -> Path:
    """Return the path as a user in the working directory would type it."""
    path = path.resolve()
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
