"""Samples on disk and in memory: generated, converted or a user's own, checked before use."""

from .arrays import from_arrays as from_arrays
from .dataset import Dataset as Dataset
from .errors import ChecksumError as ChecksumError
from .errors import DataError as DataError
from .errors import ExistingFileError as ExistingFileError
from .errors import FileBusyError as FileBusyError
from .errors import IncompleteFileError as IncompleteFileError
from .errors import MissingFileError as MissingFileError
from .errors import NonFiniteError as NonFiniteError
from .errors import NotHDF5Error as NotHDF5Error
from .errors import ResolutionError as ResolutionError
from .errors import SchemaError as SchemaError
from .errors import SplitError as SplitError
from .errors import TruncatedFileError as TruncatedFileError
from .errors import UnknownFormatError as UnknownFormatError
from .errors import UnsafeFileError as UnsafeFileError
from .errors import UnsupportedDtypeError as UnsupportedDtypeError
from .loaders import Loader as Loader
from .loaders import split as split
from .reader import open_dataset as open_dataset
from .spec import DatasetSpec as DatasetSpec
from .spec import FieldSpec as FieldSpec
from .writer import DatasetWriter as DatasetWriter
