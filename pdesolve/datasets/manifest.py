"""A set of files with splits: what it consists of, its statistics, and that its splits differ.

NAME/MANIFEST.json
NAME/stats.yaml
NAME/data/{train,valid,test}/*.h5
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import IncompleteFileError, SplitError
from .header import Header
from .shards import joined_hash, missing, ordered
from .statistics import merge, plain, restored

MANIFEST = "MANIFEST.json"
# The Well's statistics file; it holds numbers of the training files alone.
STATISTICS = "stats.yaml"
_WELL_KEYS = ("mean", "std", "rms", "mean_delta", "std_delta", "rms_delta")


def write_manifest(folder: str | Path) -> Path:
    """Write MANIFEST.json and stats.yaml of a set's folder and return the manifest's path.

    The set's data hash is that of the samples of each split in their order, whatever files they
    are in. Both files appear whole or not at all, so that several processes may write them.

    Raises:
        SplitError: there is no finished file, or a sample or a seed is in two splits.
        IncompleteFileError: files are missing whose samples others count on.
        DataError: a file is not finished or damaged.
    """
    folder = Path(folder)
    headers = {file: Header(file).usable() for file in sorted(folder.glob("data/*/*.h5"))}
    if not headers:
        raise SplitError("no file", file=folder, allowed="data/{train,valid,test}/*.h5")
    if lacking := missing(headers):
        raise IncompleteFileError(
            "; ".join(lacking),
            file=folder,
            advice="run the missing shards, or bring their files into data/SPLIT/, then "
            f"`pdesolve data join {folder}`",
        )
    check_disjoint(headers)
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
    whole = {"data_hash": set_hash(headers), "files": files}
    training = [header for file, header in headers.items() if file.parent.name == "train"]
    statistics = _statistics(ordered(training or list(headers.values())))
    _replace(folder / STATISTICS, yaml.safe_dump(statistics, sort_keys=True))
    return _replace(folder / MANIFEST, json.dumps(whole, indent=1) + "\n")


def set_hash(headers: Mapping[Path, Header]) -> str:
    """Return the data hash of a set: splits by name, and the samples of each in their order."""
    splits: dict[str, list[Header]] = {}
    for file, header in sorted(headers.items()):
        splits.setdefault(file.parent.name, []).append(header)
    hashes = [[split, joined_hash(ordered(parts))] for split, parts in splits.items()]
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
    return path


def file_sha256(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_disjoint(headers: Mapping[Path, Header]) -> None:
    """Raise SplitError if two splits share a seed or a sample."""
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
