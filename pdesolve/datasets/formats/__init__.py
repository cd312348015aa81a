"""Files of other packages become data sets of this one; each format is one module."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import MissingFileError, SplitError, UnknownFormatError
from ..foreign import Foreign
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
from .point_clouds import open_point_clouds as open_point_clouds

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


# Formats whose samples lie in the files as fields do.
IN_PLACE = (the_well, pdebench, pdegym)


def opened(paths: Sequence[Path], split: str | None) -> list[Foreign] | None:
    """Describe the files of one set for reading where they lie; None if they must be converted.

    Args:
        paths: the files.
        split: as the format divides the set; None is all samples.

    Raises:
        SplitError: the format has no such split.
        DataError: of the format.
    """
    for module in IN_PLACE:
        if all(module.detects(file) is None for file in paths):
            found = module.opened(paths, split)
            if not found:
                raise SplitError(
                    f"split {split!r} is empty", file=paths[0], advice="choose another"
                )
            return found
    return None


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
