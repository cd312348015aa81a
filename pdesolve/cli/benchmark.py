"""`pdesolve benchmark suite=NAME size=SIZE`: rows in processes of their own, one table of all."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import application
from .failures import RowsFailed, Stopped, UsageError


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("benchmark", benchmark, arguments)


def benchmark(config: Any, folder: Path) -> dict[str, float]:
    """Run the rows of a suite that are not done yet, then write its tables and its page.

    Raises:
        UsageError: there is no such suite, size or model, an option is not what is allowed, or
            another call is at work in the same folder.
        RowsFailed: some rows failed; all others were run.
        Stopped: by a signal; rows in progress go on with the next call.
    """
    from .signals import stopping
    from .suites.plan import names_of, of_variants, planned, suite_data_hash
    from .suites.records import Records
    from .suites.suite import read_suite
    from .suites.tell import tell

    check_options(config)
    suite = read_suite(config.suite, config.size, config.model_folder)
    if config.run:
        _make_data(suite.plan)
    rows = planned(suite, threads=config.threads, allow=config.allow, models=config.models)
    rows = of_variants(rows, config.variants)
    records = Records(Path(config.results) / suite.name / suite.size)
    if config.run:
        with alone(folder), stopping() as stopped:
            _run(rows, records, folder, config, stopped)
    told = records.told(names_of(suite), suite_data_hash(suite))
    tell(suite, told, folder, config)
    return counted(suite, rows, records.of(rows))


def check_options(config: Any) -> None:
    """Raise UsageError for an option of the wrong kind, before anything is run.

    A string counts as true, and a process of no threads would leave a failed record.
    """
    from omegaconf import ListConfig

    for name in ("run", "progress"):
        if not isinstance(config[name], bool):
            raise UsageError(f"{name} is {config[name]!r}, expected true or false")
    for name in ("workers", "threads"):
        if not (isinstance(config[name], int) and config[name] >= 1):
            raise UsageError(f"{name} is {config[name]!r}, expected an integer >= 1")
    if not (isinstance(config.limit, int | float) and config.limit > 0):
        raise UsageError(f"limit is {config.limit!r}, expected seconds > 0")
    for name in ("models", "variants", "allow"):
        if not isinstance(config[name], ListConfig):
            raise UsageError(
                f"{name} is {config[name]!r}, expected a list: '{name}=[{config[name]}]'"
            )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other calls out of a folder of runs.

    Raises:
        UsageError: another call is at work there.
    """
    import fcntl

    with open(folder / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another benchmark is at work in {folder}: wait for it, or choose another folder "
                "with hydra.run.dir=FOLDER"
            ) from error
        yield


def counted(
    suite: Any, rows: Sequence[Any], found: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Return how many rows there are and how many are done.

    Raises:
        RowsFailed: some failed.
    """
    of = {status: [r for r in found if r["status"] == status] for status in ("done", "failed")}
    if failed := of["failed"]:
        raise RowsFailed(
            f"{len(failed)} of {len(rows)} rows of {suite.name} failed, the first, "
            f"{failed[0]['model']}, since {failed[0]['reason']}; the tables name all"
        )
    return {"rows": float(len(rows)), "rows/done": float(len(of["done"]))}


def _make_data(plan: Any) -> None:
    """Generate the sets of a suite that are not there, in processes of their own."""
    from .suites.composed import composed

    sets = plan.get("data", [])
    for overrides in [sets] if sets and isinstance(sets[0], str) else sets:
        path = Path(composed("generate", overrides)["dataset"]["path"])
        if (path / "MANIFEST.json").is_file():
            continue
        command = ["-m", "pdesolve", "generate", *overrides, "progress=false"]
        if subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL).returncode:
            raise UsageError(f"the suite's data cannot be made: see `{shlex.join(command[1:])}`")


def _run(
    rows: Sequence[Any], records: Any, folder: Path, config: Any, stopped: Sequence[int]
) -> None:
    """Run the rows that are not finished, `config.workers` of them at once."""
    from concurrent.futures import ThreadPoolExecutor

    from .suites.process import STOPPED, outcome_of

    def run(numbered: tuple[int, Any]) -> None:
        number, row = numbered
        if stopped or records.finished(row):
            return
        place = folder / "rows" / f"{row.name}.{row.key[:8]}"
        outcome = outcome_of(row, place, limit=config.limit, stopped=stopped)
        records.write(row, outcome)
        if outcome["status"] == "done":
            # Where its record is gone the row is to be run, not to be found finished.
            shutil.rmtree(place / "checkpoints", ignore_errors=True)
        if config.progress:
            told = outcome["reason"] or f"{outcome['wall_seconds']:.0f} s"
            print(f"{number}/{len(rows)} {row.name}: {outcome['status']}, {told}", file=sys.stderr)

    # Each thread only waits for a process of its own.
    with ThreadPoolExecutor(config.workers) as pool:
        list(pool.map(run, enumerate(rows, 1)))
    if stopped:
        raise Stopped(stopped[0], STOPPED)
