"""Everything that a file says of its samples, checked before one of them is read."""

from pathlib import Path

import h5py
import numpy as np

from . import schema
from .errors import ChecksumError, IncompleteFileError
from .hashing import data_hash, description_hash
from .opening import damage_told, open_file


class Header:
    """Spec, provenance, records and constants of one file.

    Attributes:
        complete: the writer has finished.
        sealed: attributes, records and constants are what the writer left.
        written: samples that may be used.

    Raises:
        DataError: the file cannot be opened, or its layout is wrong (see `opening`, `schema`).
    """

    def __init__(self, file: Path):
        self.file = file
        with open_file(file) as opened, damage_told(file):
            self._read(opened)
        self.written = self.records.written

    def usable(self, *, allow_partial: bool = False) -> "Header":
        """Return the header itself if its samples may be used.

        Raises:
            IncompleteFileError: the writer has not finished and allow_partial is False.
            ChecksumError: attributes, records or constants are not what the writer left.
        """
        if not self.sealed:
            raise ChecksumError(
                "attributes, records or constants differ from those written",
                file=self.file,
                advice="fetch it again, or generate it again with `pdesolve generate ...`",
            )
        if not self.complete and not allow_partial:
            raise IncompleteFileError(
                f"{len(self.written)} of {len(self.records.seed)} samples are written",
                file=self.file,
                advice="continue with the same `pdesolve generate ...` command, or pass "
                "allow_partial=True",
            )
        return self

    def _read(self, opened: h5py.File) -> None:
        self.spec = schema.read_spec(opened)
        self.provenance = schema.read_provenance(opened)
        self.records = schema.read_records(opened)
        self.fixed = schema.read_fixed(opened, self.spec)
        self.statistics = schema.read_statistics(opened)
        self.complete = schema.is_complete(opened)
        # An unfinished file has no seal yet.
        self.sealed = not self.complete or schema.digest(opened) == description_hash(opened)

    @property
    def data_hash(self) -> str:
        """SHA-256 of the fields and seeds of the samples that may be used."""
        return data_hash(self.spec, self.records, self.written, self.fixed)

    def mask(self, row: int) -> np.ndarray | None:
        """Return where sample `row` has points inside its domain; None is everywhere."""
        stored = self.fixed.get(schema.MASK)
        if stored is None:
            return None
        return (stored if stored.ndim == self.spec.grid.dims else stored[row]).astype(bool)
