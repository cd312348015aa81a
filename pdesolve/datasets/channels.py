"""The scalar fields that a stored sample consists of, numbered: what windows choose from."""

from dataclasses import dataclass

from .spec import DatasetSpec, FieldSpec


@dataclass(frozen=True)
class Channel:
    """One component of a field at one stored time.

    Args:
        field: of the data set.
        frame: position of the time among the stored ones, 0 for what does not vary in time.
        component: of a vector, 0 for a scalar.
    """

    field: FieldSpec
    frame: int
    component: int


def stored_channels(spec: DatasetSpec) -> tuple[Channel, ...]:
    """All channels of one sample: inputs and outputs that stay the same, then frame by frame."""
    fields = spec.by_role("input") + spec.by_role("output")
    frames = range(len(spec.times))
    still = [Channel(one, 0, k) for one in fields if not one.time_varying for k in _of(spec, one)]
    moving = [one for one in fields if one.time_varying]
    return (*still, *(Channel(one, t, k) for t in frames for one in moving for k in _of(spec, one)))


def _of(spec: DatasetSpec, one: FieldSpec) -> range:
    return range(len(one.components(spec.grid.dims)))
