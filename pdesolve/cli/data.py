"""`pdesolve data inspect|verify|convert FILE`: what is in a file, is it sound, a new one."""

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
    verbs = parser.add_subparsers(required=True, metavar="inspect|verify|convert")
    inspect = verbs.add_parser("inspect", help="schema, statistics and provenance")
    verify = verbs.add_parser("verify", help="structure, hashes, finiteness and physics")
    convert = verbs.add_parser("convert", help="foreign files to a dataset folder")
    for verb, run in ((inspect, _inspect), (verify, _verify)):
        verb.add_argument("path", type=Path, help="an .h5 file or a dataset folder")
        verb.add_argument("--json", action="store_true", help="machine output")
        verb.set_defaults(run=run)
    verify.add_argument("--quick", action="store_true", help="structure only, no sample is read")
    convert.add_argument("paths", type=Path, nargs="+", help="the foreign files of one set")
    convert.add_argument("--output", type=Path, required=True, help="folder to write")
    convert.add_argument("--json", action="store_true", help="machine output")
    convert.set_defaults(run=_convert)
    return parser


def _inspect(options: argparse.Namespace) -> int:
    from ..datasets.verify import inspect

    facts = inspect(options.path)
    if options.json:
        print(json.dumps(facts, indent=1))
    else:
        _print_tree(str(options.path), facts)
    return 0


def _print_tree(title: str, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.tree import Tree

    def grow(branch: Tree, value: Any) -> None:
        for name, child in value.items():
            if isinstance(child, dict):
                grow(branch.add(f"[bold]{name}"), child)
            else:
                branch.add(f"{name}: {child}")

    tree = Tree(title)
    grow(tree, facts)
    Console().print(tree)


def _verify(options: argparse.Namespace) -> int:
    from ..datasets.verify import verify

    reports = {
        str(path): verify(path, full=not options.quick, check=physics_of(path))
        for path in _files(options.path)
    }
    if options.json:
        print(json.dumps({path: report.as_dict() for path, report in reports.items()}, indent=1))
    else:
        for path, report in reports.items():
            _print_report(path, report)
    return 3 if any(report.errors for report in reports.values()) else 0


def _print_report(path: str, report: Any) -> None:
    verdict = "damaged" if report.errors else "sound"
    print(f"{path}: {verdict}, {report.samples} samples, data hash {report.data_hash}")
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


def physics_of(path: Path) -> Any | None:
    """Return the check of the equation that a file names, None when pdesolve does not know it."""
    from ..datasets.errors import DataError
    from ..datasets.reader import open_dataset
    from .sets import equation_of

    try:
        dataset = open_dataset(path, in_memory=False, allow_partial=True)
    except DataError:
        return None  # `verify` itself says what is wrong with the file.
    return getattr(equation_of(dataset), "check", None)


def _convert(options: argparse.Namespace) -> int:
    from ..datasets.formats import convert

    written = convert(options.paths, options.output)
    if options.json:
        print(json.dumps({"output": str(options.output), "files": [str(p) for p in written]}))
    else:
        for path in written:
            print(path)
    return 0
