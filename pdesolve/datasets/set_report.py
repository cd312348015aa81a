"""Is a folder of files the set that its manifest describes?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import DataError
from .header import Header
from .manifest import MANIFEST, check_disjoint, file_sha256, set_hash
from .report import Finding, Report
from .shards import missing


def verify_set(folder: str | Path, *, full: bool = True) -> Report:
    """Compare a folder with its manifest, and its files with each other.

    Args:
        folder: of the set.
        full: read the files whole and compare their SHA-256.
    """
    folder = Path(folder)
    files = sorted(folder.glob("data/*/*.h5"))
    try:
        headers = {file: Header(file).usable() for file in files}
        whole = set_hash(headers)
        errors = [Finding("IncompleteFileError", line) for line in missing(headers)]
        check_disjoint(headers)
    except DataError as error:
        return Report((Finding(type(error).__name__, str(error), error.place),), (), 0, "")
    manifest = folder / MANIFEST
    if errors:
        pass
    elif not manifest.is_file():
        told = f"no {MANIFEST}: write it with `pdesolve data join {folder}`"
        errors.append(Finding("IncompleteFileError", told))
    else:
        listed = json.loads(manifest.read_text())
        errors += _differences(folder, files, listed["files"], full=full)
        if listed["data_hash"] != whole:
            errors.append(Finding("ChecksumError", f"data hash {whole} is not the manifest's"))
    return Report(tuple(errors), (), sum(len(h.written) for h in headers.values()), whole)


def _differences(
    folder: Path, files: list[Path], listed: Mapping[str, Any], *, full: bool
) -> list[Finding]:
    there = {file.relative_to(folder).as_posix(): file for file in files}
    found = [
        Finding("MissingFileError", "listed in the manifest and not there", name)
        for name in sorted(set(listed) - set(there))
    ]
    for name, file in there.items():
        if name not in listed:
            found.append(Finding("SchemaError", "there and not listed in the manifest", name))
        elif file.stat().st_size != listed[name]["bytes"] or (
            full and file_sha256(file) != listed[name]["sha256"]
        ):
            found.append(Finding("ChecksumError", "bytes are not the manifest's", name))
    return found
