"""The equation that a file names, as `pdesolve data verify` asks it about stored fields."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .sets import equation_of


def physics_of(path: Path) -> Any:
    """Return the `Physics` of a file; its `reason` says why no residual can be formed.

    An equation is built again from its name and parameters in the file, among those that
    `pdesolve.pde` exports. A file that does not open has none; `verify` says what is wrong.
    """
    from ..datasets.errors import DataError
    from ..datasets.header import Header
    from ..datasets.report import Physics

    try:
        spec = Header(path).spec
    except DataError:
        return Physics()
    if not spec.equation:
        return Physics(reason="the file names no equation")
    try:
        equation = equation_of(spec)
    except (TypeError, ValueError) as error:
        return Physics(reason=f"{spec.equation} cannot be built from the file: {error}")
    if equation is None:
        return Physics(reason=f"pdesolve knows no equation {spec.equation!r}")
    if reason := obstacle(equation, spec):
        return Physics(equation.check, reason=reason)
    judge = _Judge(equation)
    return Physics(equation.check, judge.residual, judge.anew)


def obstacle(equation: Any, spec: Any) -> str:
    """Return why stored fields do not suffice for the equation's residual, "" if they do."""
    stored = {one.name for one in spec.fields} | set(spec.parameters)
    wanted = {*equation.inputs, *equation.outputs, *getattr(equation, "parameters", ())}
    times = tuple(float(t) for t in getattr(equation, "times", spec.times))
    if lacking := sorted(wanted - stored):
        return f"{', '.join(lacking)} not stored"
    if any(spec.grid.offset):
        return "the stored sub-grid lacks the walls"
    if times != spec.times:
        return f"recorded at {spec.times}, where the equation's parameters say {times}"
    return ""


class _Judge:
    """Asks an equation by the names of its fields."""

    def __init__(self, equation: Any):
        self._equation = equation

    def residual(self, fields: Mapping[str, Any], grid: Any) -> Any:
        """Return the relative residual of stored fields, (b,)."""
        outputs = [fields[name] for name in self._equation.outputs]
        return self._equation.relative_residual(*outputs, **self._given(fields), grid=grid)

    def anew(self, fields: Mapping[str, Any], grid: Any) -> Any:
        """Return the residual of what the solver makes of the same inputs, rounded as stored."""
        given = self._given(fields)
        exact = {name: value.double() for name, value in given.items()}
        solution = self._equation.solve(**exact, grid=grid, raise_on_failure=False)
        outputs = self._equation.outputs
        found = zip(outputs, solution.value.unbind(1), strict=True)
        rounded = {name: value.to(fields[name].dtype) for name, value in found}
        return self.residual({**fields, **rounded}, grid)

    def _given(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        names = (*self._equation.inputs, *getattr(self._equation, "parameters", ()))
        return {name: fields[name] for name in names}
