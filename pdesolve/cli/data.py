"""`pdesolve data inspect|verify|join|convert`: what is in files, are they sound, a new set."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str]) -> int:
    """Run the verb; returns 3 when `verify` found errors."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pdesolve data", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="inspect|verify|join|convert")
    inspect = verbs.add_parser("inspect", help="schema, statistics, provenance and a picture")
    verify = verbs.add_parser("verify", help="structure, hashes, finiteness and physics")
    join = verbs.add_parser("join", help="the manifest of a folder whose shards are all there")
    convert = verbs.add_parser("convert", help="foreign files to a dataset folder")
    for verb, run in ((inspect, _inspect), (verify, _verify)):
        verb.add_argument("path", type=Path, help="an .h5 file or a dataset folder")
        verb.add_argument("--json", action="store_true", help="machine output")
        verb.set_defaults(run=run)
    inspect.add_argument("--picture", type=Path, help="PNG file to draw a sample into")
    inspect.add_argument("--sample", type=int, default=0, help="which one to draw, by default 0")
    verify.add_argument("--quick", action="store_true", help="structure only, no sample is read")
    join.add_argument("path", type=Path, help="the folder with data/SPLIT/*.h5")
    join.set_defaults(run=_join)
    convert.add_argument("paths", type=Path, nargs="+", help="the foreign files of one set")
    convert.add_argument("--output", type=Path, required=True, help="folder to write")
    convert.add_argument("--json", action="store_true", help="machine output")
    convert.set_defaults(run=_convert)
    return parser


def _inspect(options: argparse.Namespace) -> int:
    from ..datasets.inspection import inspect
    from .facts import print_facts
    from .thumbnail import draw

    facts = inspect(options.path)
    if options.json:
        print(json.dumps(facts, indent=1))
    else:
        print_facts(str(options.path), facts)
    if options.picture:
        draw(options.path, options.picture, [options.sample])
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .apart import apart

    full, paths = not options.quick, _files(options.path)
    if options.path.is_dir():
        paths.append(options.path)
    # Damaged attributes can make the HDF5 library itself fall over a wild address.
    with apart() as call:
        reports = {str(path): _survived(call, path, full) for path in paths}
    if options.json:
        print(json.dumps({path: report.as_dict() for path, report in reports.items()}, indent=1))
    else:
        for path, report in reports.items():
            _print_report(path, report)
    return 3 if any(report.errors for report in reports.values()) else 0


def _survived(call: Any, path: Path, full: bool) -> Any:
    from ..datasets.report import Finding, Report
    from .apart import Crashed

    try:
        return call(_report, path, full)
    except Crashed:
        told = "the HDF5 library crashed while reading: damaged metadata"
        return Report((Finding("ChecksumError", told),), (), 0, "")


def _report(path: Path, full: bool) -> Any:
    from ..datasets.set_report import verify_set
    from ..datasets.verify import verify
    from .physics import physics_of

    if path.is_dir():
        return verify_set(path, full=full)
    return verify(path, full=full, physics=physics_of(path) if full else None)


def _print_report(path: str, report: Any) -> None:
    print(f"{path}: {report.verdict}, {report.samples} samples, data hash {report.data_hash}")
    if report.samples and not Path(path).is_dir():
        print(f"  residual of the equation: {report.residuals}")
    for kind in ("errors", "warnings"):
        for line in getattr(report, kind):
            print(f"  {kind[:-1]}: {line}")


def _files(path: Path) -> list[Path]:
    from ..datasets.errors import DataError, MissingFileError

    if not path.is_dir():
        return [path]
    files = sorted(path.glob("data/*/*.h5"))
    manifest = path / "MANIFEST.json"
    listed = json.loads(manifest.read_text())["files"] if manifest.is_file() else {}
    if gone := sorted(set(listed) - {file.relative_to(path).as_posix() for file in files}):
        raise MissingFileError(
            f"{path} lacks {', '.join(gone)}, which its MANIFEST.json lists: generate or convert "
            "it again, or fetch it"
        )
    if not files:
        raise DataError(
            f"{path} is a folder without data/SPLIT/NAME.h5, expected a dataset folder: "
            "name a file, or the folder that `pdesolve generate` printed"
        )
    return files


def _join(options: argparse.Namespace) -> int:
    from ..datasets.manifest import write_manifest

    print(write_manifest(options.path))
    return 0


def _convert(options: argparse.Namespace) -> int:
    from ..datasets.formats import convert

    written = convert(options.paths, options.output)
    if options.json:
        print(json.dumps({"output": str(options.output), "files": [str(p) for p in written]}))
    else:
        for path in written:
            print(path)
    return 0
