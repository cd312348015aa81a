"""What a data set holds: its fields, their roles and units, its grid and its equation."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..grid import Grid
from .errors import SchemaError

Role = Literal["input", "output", "constant"]
AXIS_NAMES = ("x", "y", "z")


@dataclass(frozen=True)
class FieldSpec:
    """One field of a data set.

    Args:
        name: as in the equation, such as "coefficient".
        role: "input" and "output" become channels; "constant" is stored beside them.
        units: "1" if dimensionless.
        time_varying: stored at every time.
        sample_varying: stored for every sample; an input that does not vary is broadcast.
        order: 0 scalar, 1 vector with one component per axis, stored last.
    """

    name: str
    role: Role
    units: str = "1"
    time_varying: bool = False
    sample_varying: bool = True
    order: int = 0

    def __post_init__(self):
        if not self.name.isidentifier():
            raise SchemaError(
                f"{self.name!r} is no identifier",
                place="name of a field",
                allowed="letters, digits and underscores",
            )
        if self.order not in (0, 1):
            raise SchemaError(
                f"order is {self.order}", place=f"field {self.name!r}", allowed="0 or 1"
            )
        if self.role == "constant" and self.sample_varying:
            raise SchemaError(
                "a constant that varies from sample to sample",
                place=f"field {self.name!r}",
                advice="set sample_varying=False, or make it an input",
            )

    def components(self, dims: int) -> tuple[str, ...]:
        """Channel names: the name itself, or name_x, name_y, ... of a vector."""
        if self.order == 0:
            return (self.name,)
        return tuple(f"{self.name}_{axis}" for axis in AXIS_NAMES[:dims])


@dataclass(frozen=True)
class DatasetSpec:
    """What a data set holds, before any sample exists.

    Args:
        name: of the data set.
        grid: where the points are; spatial axes only.
        fields: in any order; kept as inputs, outputs, constants.
        times: in time units; one entry for a steady problem.
        equation: name of its class in `pdesolve.pde`, or "".
        equation_parameters: JSON values from which that class is built again.
        parameters: names of the numbers that each sample carries (its condition).

    Raises:
        SchemaError: names repeat, the grid has more than three axes, or there is no time.
    """

    name: str
    grid: Grid
    fields: tuple[FieldSpec, ...]
    times: tuple[float, ...] = (0.0,)
    equation: str = ""
    equation_parameters: dict[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    def __post_init__(self):
        rank = {"input": 0, "output": 1, "constant": 2}
        ordered = tuple(sorted(self.fields, key=lambda one: rank[one.role]))
        # Through JSON, so that a spec equals the one read back from its file.
        plain = json.loads(json.dumps(self.equation_parameters))
        object.__setattr__(self, "fields", ordered)
        object.__setattr__(self, "times", tuple(float(time) for time in self.times))
        object.__setattr__(self, "equation_parameters", plain)
        object.__setattr__(self, "parameters", tuple(self.parameters))
        names = [one.name for one in self.fields] + list(self.parameters)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SchemaError(f"{repeated} appear twice", place="names", allowed="distinct names")
        if self.grid.dims > len(AXIS_NAMES):
            raise SchemaError(f"{self.grid.dims} axes", place="grid", allowed="one to three")
        if not self.times or np.any(np.diff(self.times) <= 0):
            raise SchemaError(f"{self.times}", place="times", allowed="one or more, ascending")

    def by_role(self, role: Role) -> tuple[FieldSpec, ...]:
        """Fields of one role, in the order of their channels."""
        return tuple(one for one in self.fields if one.role == role)

    @property
    def varying(self) -> tuple[FieldSpec, ...]:
        """Fields stored for every sample, sorted by name: the order in which they are hashed."""
        chosen = (one for one in self.fields if one.sample_varying)
        return tuple(sorted(chosen, key=lambda one: one.name))

    @property
    def fixed(self) -> tuple[FieldSpec, ...]:
        """Fields stored once, sorted by name."""
        chosen = (one for one in self.fields if not one.sample_varying)
        return tuple(sorted(chosen, key=lambda one: one.name))

    def stored_shape(self, one: FieldSpec) -> tuple[int, ...]:
        """Shape of one sample of a field as The Well stores it: [time] *grid [component]."""
        time = (len(self.times),) if one.time_varying else ()
        return (*time, *self.grid.shape, *(self.grid.dims,) * one.order)

    def differences(self, other: "DatasetSpec") -> list[str]:
        """What differs from another spec, one line each."""
        return [
            f"{name} is {getattr(self, name)!r} here and {getattr(other, name)!r} there"
            for name in self.__dataclass_fields__
            if getattr(self, name) != getattr(other, name)
        ]
