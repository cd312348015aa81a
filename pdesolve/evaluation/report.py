"""A folder that says how good a model is: report.html, its pictures, metrics.json."""

import json
import math
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from .page import Findings as Findings
from .page import page
from .pictures import Picture as Picture


def write_report(folder: str | Path, findings: Findings) -> Path:
    """Write the report and return the path of its page.

    The page holds its pictures and needs no other file; the same pictures and figures lie beside it
    for papers and scripts. Each file appears whole or not at all.

    Args:
        folder: made if it is not there; files of an earlier report are replaced.
        findings: what to show.

    Raises:
        ValueError: two pictures share a name, or a name is no plain file name.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _check_names([picture.name for picture in findings.pictures])
    for picture in findings.pictures:
        _write(folder / f"{picture.name}.{picture.kind}", picture.data)
    metrics = json.dumps(flat_metrics(findings), indent=1, sort_keys=True, allow_nan=False)
    _write(folder / "metrics.json", metrics.encode() + b"\n")
    _write(folder / "report.html", page(findings).encode())
    return folder / "report.html"


def flat_metrics(findings: Findings) -> dict[str, float | None]:
    """Return the figures of the model and, as "reference/NAME/...", those of its references.

    A figure that is not finite is None, since JSON has no word for it.
    """
    flat = dict(findings.metrics)
    for reference, figures in findings.references.items():
        stem = re.sub(r"\W+", "_", reference.lower()).strip("_")
        flat |= {f"reference/{stem}/{name}": value for name, value in figures.items()}
    return {name: value if math.isfinite(value) else None for name, value in flat.items()}


def environment(device: torch.device | str = "cpu") -> Mapping[str, str]:
    """Return the versions and the device that a figure depends on, for `Findings`."""
    from ..version import __version__

    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "pdesolve": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "device": f"{device.type} ({name})",
        "threads": str(torch.get_num_threads()),
    }


def _check_names(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[\w@.-]+", name) or names.count(name) > 1:
            raise ValueError(
                f"picture name {name!r} is taken twice or no plain file name, expected letters, "
                f"digits and _ @ . -: begin the names of each test set with its own prefix"
            )


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    with open(unfinished, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
