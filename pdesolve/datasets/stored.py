"""Where a field lies in a file, and how its numbers are read from there through HDF5."""

from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from . import schema
from .spec import AXIS_NAMES, FieldSpec

SAMPLES, TIMES, COMPONENTS, SINGLE = "n", "t", "c", "1"


@dataclass(frozen=True)
class Stored:
    """A field in a file.

    Args:
        place: HDF5 path of the data set that holds it.
        axes: a letter for each axis of the data set: n samples, t times, x y z space, c components,
            1 for an axis of one entry. What is missing, the field does not depend on.
        part: the entry along c that is this field; None for a vector, which has them all.
    """

    place: str
    axes: str
    part: int | None = None

    @classmethod
    def by_this_package(cls, one: FieldSpec, dims: int) -> "Stored":
        """Where the files that pdesolve writes hold a field."""
        lead = SAMPLES * one.sample_varying + TIMES * one.time_varying
        return cls(
            schema.location(one), f"{lead}{''.join(AXIS_NAMES[:dims])}{COMPONENTS * one.order}"
        )

    def entries(self) -> dict[str, int]:
        """The entry that is wanted along each axis of which there is only one."""
        return {SINGLE: 0} if self.part is None else {SINGLE: 0, COMPONENTS: self.part}

    def read(
        self, data: h5py.Dataset, lines: slice, times: slice, space: Sequence[slice]
    ) -> np.ndarray:
        """Return an array (n, t, *space, c); HDF5 decodes it and verifies what has a checksum.

        An axis that is not stored has one entry.
        """
        wanted = {SAMPLES: lines, TIMES: times} | self.entries()
        selection = tuple(wanted.get(letter, slice(None)) for letter in self.axes)
        kept = [a for a, one in zip(self.axes, selection, strict=True) if isinstance(one, slice)]
        order = [SAMPLES, TIMES, *AXIS_NAMES[: len(space)], COMPONENTS]
        values = data[selection].transpose([kept.index(a) for a in order if a in kept])
        values = values[tuple(slice(None) if a in kept else None for a in order)]
        cut = [one if a in kept else slice(None) for a, one in zip(AXIS_NAMES, space, strict=False)]
        return values[(slice(None), slice(None), *cut)]
