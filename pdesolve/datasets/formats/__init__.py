"""Files of other packages become data sets of this one; each format is one module."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import MissingFileError, UnknownFormatError
from . import (
    fno_mat,
    neuraloperator,
    pdearena,
    pdebench,
    pdebench_groups,
    pdegym,
    the_well,
    thuml,
)

FORMATS = (
    the_well,
    neuraloperator,
    pdebench,
    pdebench_groups,
    pdegym,
    pdearena,
    fno_mat,
    thuml,
)


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert the files of one set into a folder with splits; return the files written.

    Raises:
        MissingFileError: a file is not there.
        UnknownFormatError: no format fits; it lists those tried and why each does not.
        DataError: of the format that fits.
    """
    files = [Path(path) for path in paths]
    for file in files:
        if not file.is_file():
            raise MissingFileError("no such file", file=file, advice="check the path")
    reasons = []
    for module in FORMATS:
        unfit = [reason for file in files if (reason := module.detects(file))]
        if not unfit:
            return module.convert(files, output_folder)
        reasons.append((len(unfit), f"{module.__name__.rpartition('.')[2]}: {unfit[0]}"))
    ranked = "; ".join(reason for _, reason in sorted(reasons))
    raise UnknownFormatError(
        f"no format fits ({ranked})",
        file=files[0],
        advice="load the arrays yourself and call pdesolve.datasets.from_arrays",
    )
