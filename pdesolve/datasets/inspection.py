"""What is in a file or a folder of files: schema, statistics, provenance."""

import json
from pathlib import Path
from typing import Any

from . import schema
from .errors import MissingFileError
from .header import Header
from .manifest import MANIFEST
from .shards import missing


def inspect(path: str | Path) -> dict[str, Any]:
    """Return what is in a file, or in the folder of a set, as JSON values.

    Of a folder the schema, the statistics and the provenance are those of its first training file;
    "splits" counts files and samples.

    Raises:
        DataError: a file cannot be opened, or its layout is wrong.
    """
    path = Path(path)
    return _of_folder(path) if path.is_dir() else _of_file(Header(path))


def _of_folder(folder: Path) -> dict[str, Any]:
    headers = {file: Header(file) for file in sorted(folder.glob("data/*/*.h5"))}
    if not headers:
        raise MissingFileError(
            "no data/SPLIT/NAME.h5",
            file=folder,
            advice="name a file, or the folder that `pdesolve generate` printed",
        )
    training = [header for file, header in headers.items() if file.parent.name == "train"]
    facts = _of_file((training or list(headers.values()))[0])
    for count in ("bytes", "complete", "samples", "written", "rejected", "data_hash"):
        del facts[count]
    splits: dict[str, dict[str, int]] = {}
    for file, header in headers.items():
        counts = {"files": 1, **_counts(header)}
        before = splits.get(file.parent.name, dict.fromkeys(counts, 0))
        splits[file.parent.name] = {key: before[key] + counts[key] for key in counts}
    manifest = folder / MANIFEST
    known = json.loads(manifest.read_text()) if manifest.is_file() else {}
    lacking = {"lacking": found} if (found := missing(headers)) else {}
    return {
        "name": facts.pop("name"),
        "data_hash": known.get("data_hash", ""),
        "splits": splits,
        **lacking,
        **facts,
    }


def _counts(header: Header) -> dict[str, int]:
    records = header.records
    return {
        "bytes": header.file.stat().st_size,
        "samples": len(records.seed),
        "written": len(header.written),
        "rejected": int((records.status == schema.REJECTED).sum()),
    }


def _of_file(header: Header) -> dict[str, Any]:
    spec = header.spec
    return {
        "name": spec.name,
        **_counts(header),
        "complete": header.complete,
        "data_hash": header.data_hash,
        "grid": spec.grid.as_dict(),
        "times": list(spec.times),
        "equation": spec.equation,
        "equation_parameters": spec.equation_parameters,
        "parameters": list(spec.parameters),
        "fields": {
            one.name: {
                "role": one.role,
                "units": one.units,
                "order": one.order,
                "sample_varying": one.sample_varying,
                "time_varying": one.time_varying,
                "shape": list(spec.stored_shape(one)),
                "statistics": header.statistics.get(one.name, {}),
            }
            for one in spec.fields
        },
        "mask": schema.MASK in header.fixed,
        "provenance": header.provenance,
    }
