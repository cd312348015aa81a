"""A set of files with splits: what it consists of, its statistics, and that its splits differ.

NAME/MANIFEST.json
NAME/stats.yaml
NAME/data/{train,valid,test}/*.h5
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import SplitError
from .header import Header
from .statistics import merge, plain, restored

MANIFEST = "MANIFEST.json"
# The Well's statistics file; it holds numbers of the training files alone.
STATISTICS = "stats.yaml"
_WELL_KEYS = ("mean", "std", "rms", "mean_delta", "std_delta", "rms_delta")


def write_manifest(folder: str | Path) -> Path:
    """Write MANIFEST.json and stats.yaml of a set's folder and return the manifest's path.

    Raises:
        SplitError: there is no finished file, or a sample or a seed is in two splits.
        DataError: a file is not finished or damaged.
    """
    folder = Path(folder)
    headers = {file: Header(file).usable() for file in sorted(folder.glob("data/*/*.h5"))}
    if not headers:
        raise SplitError("no file", file=folder, allowed="data/{train,valid,test}/*.h5")
    _check_disjoint(headers)
    files = {
        str(file.relative_to(folder)): {
            "bytes": file.stat().st_size,
            "sha256": file_sha256(file),
            "samples": len(header.written),
            "split": file.parent.name,
            "data_hash": header.data_hash,
        }
        for file, header in headers.items()
    }
    hashes = json.dumps([[facts["split"], facts["data_hash"]] for facts in files.values()])
    whole = hashlib.sha256(hashes.encode()).hexdigest()
    training = [header for file, header in headers.items() if file.parent.name == "train"]
    statistics = _statistics(training or list(headers.values()))
    (folder / STATISTICS).write_text(yaml.safe_dump(statistics, sort_keys=True))
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"data_hash": whole, "files": files}, indent=1) + "\n")
    return manifest


def file_sha256(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_disjoint(headers: Mapping[Path, Header]) -> None:
    owners: dict[tuple[str, int], str] = {}
    for file, header in headers.items():
        split, records = file.parent.name, header.records
        seeds = [("seed", seed) for seed in records.seed[header.written].tolist() if seed >= 0]
        samples = [("sample hash", one) for one in records.hash[header.written].tolist()]
        for key in seeds + samples:
            if owners.setdefault(key, split) != split:
                raise SplitError(
                    f"{key[0]} {key[1]} is also in split {owners[key]!r}",
                    file=file,
                    allowed="splits without a common sample",
                    advice="generate the splits with seeds of their own",
                )


def _statistics(headers: list[Header]) -> dict[str, dict[str, Any]]:
    """The Well's keys, {"mean": {field: value}, ...}, merged over files."""
    gathered: dict[str, dict[str, Any]] = {}
    spec = headers[0].spec
    for one in spec.varying:
        parts = [restored(h.statistics[one.name]) for h in headers if one.name in h.statistics]
        if parts:
            merged = {suffix: merge(part[suffix] for part in parts) for suffix in parts[0]}
            values = plain(merged, one.order)
            for key in _WELL_KEYS:
                if key in values:
                    gathered.setdefault(key, {})[one.name] = values[key]
    return gathered
