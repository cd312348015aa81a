"""What can be wrong with data on disk or in memory, one class for each kind."""

from pathlib import Path


class DataError(ValueError):
    """Data that cannot be used as they are.

    Args:
        found: what came, in words; alone it is a complete message.
        file: the file.
        place: the HDF5 path or argument inside it.
        allowed: what would have been right.
        advice: the next step.
    """

    def __init__(
        self,
        found: str,
        *,
        file: str | Path = "",
        place: str = "",
        allowed: str = "",
        advice: str = "",
    ):
        expected = f"expected {allowed}" if allowed else ""
        told = ", ".join(part for part in (found, expected) if part)
        super().__init__(": ".join(part for part in (str(file), place, told, advice) if part))
        self.file = str(file)
        self.place = place


class MissingFileError(DataError, FileNotFoundError):
    """There is no such file."""


class ExistingFileError(DataError, FileExistsError):
    """A file is in the way and is not overwritten."""


class NotHDF5Error(DataError):
    """The file is empty or of another kind."""


class TruncatedFileError(DataError):
    """The end of the file is missing."""


class ChecksumError(DataError):
    """Stored bytes differ from those that were written."""


class IncompleteFileError(DataError):
    """The file's writer has not finished."""


class FileBusyError(DataError):
    """Another process is writing the file."""


class NonFiniteError(DataError):
    """A field holds NaN or infinity."""


class UnsafeFileError(DataError):
    """Opening the file could read other files, fill the memory or run code."""


class UnsupportedDtypeError(DataError):
    """A data set holds something else than plain numbers."""


class SchemaError(DataError):
    """Fields, shapes or names disagree with each other or with the layout."""


class UnknownFormatError(DataError):
    """No reader recognises the layout."""


class SplitError(DataError):
    """A split is empty or asks for more samples than there are."""


class ResolutionError(DataError):
    """The wanted resolution is no sub-lattice of the stored one."""
