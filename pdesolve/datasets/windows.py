"""Which stored frames of a trajectory are inputs and which are targets: maps, windows, pairs.

Frames become channels, frame by frame and inside a frame component by component, so that a
prediction joins the frames before it by one concatenation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from .channels import Channel, stored_channels
from .errors import SchemaError
from .spec import DatasetSpec, FieldSpec

LEAD_TIME = "lead_time"
# Times are stored as float32.
_TIME_ROUNDING = 4 * float(np.finfo(np.float32).eps)


def quantity(name: str) -> str:
    """Return what a channel holds, whatever its frame.

    >>> quantity("vorticity@-9")
    'vorticity'
    """
    return name.partition("@")[0]


@dataclass(frozen=True, eq=False)
class Layout:
    """Channels of x and y for each of the w items that a trajectory makes.

    Args:
        x, y: numbers of `stored_channels`, shapes (w, c_in) and (w, c_out).
        x_names, y_names: of the channels; what follows an @ is the frame.
        fixed: how many of the first channels of x stay as they are in a rollout.
        lead_times: from x to y of each item, in time units, shape (w,).
        target_times: times of the frames of y, where all items share them.
        spacing: time from a frame to the next, 0 where channels are no sequence.
    """

    x: np.ndarray
    y: np.ndarray
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    fixed: int = 0
    lead_times: np.ndarray | None = None
    target_times: tuple[float, ...] | None = None
    spacing: float = 0.0

    @cached_property
    def shared(self) -> bool:
        """Whether a stored channel may be input and target."""
        return bool(np.intersect1d(self.x, self.y).size)


@runtime_checkable
class Frames(Protocol):
    """What a Dataset needs of a window."""

    def layout(self, spec: DatasetSpec) -> Layout:
        """Return the channels of x and y for the data sets of a spec.

        Raises:
            SchemaError: the data set has not the frames or fields that are asked for.
        """
        ...


@dataclass(frozen=True)
class AtTimes:
    """The map from the inputs to the outputs at chosen times; one item a trajectory.

    x holds the input fields. Where there are none it holds the outputs at the first time, which
    is then no target. Channels of y are called after their field where one time is chosen, and
    density@0.5 (time 0.5) where there are more. Outputs that do not vary in time come with the
    last one.

    Args:
        which: "last" time, "all" times, or positions among the stored ones, ascending.
    """

    which: Literal["last", "all"] | Sequence[int] = "last"

    def layout(self, spec: DatasetSpec) -> Layout:
        """See `Frames`."""
        stored = _Stored(spec)
        inputs = spec.by_role("input")
        count = len(spec.times)
        x, x_names = stored.still(inputs), stored.names(inputs)
        first = 0 if inputs else 1
        if not inputs:
            x, x_names = stored.moving(0), stored.names(stored.evolving, f"@{spec.times[0]:g}")
        if self.which == "last":
            chosen = [count - 1]
        else:
            chosen = list(range(first, count) if self.which == "all" else self.which)
        if not chosen or chosen[0] < first or chosen[-1] >= count or np.any(np.diff(chosen) <= 0):
            raise SchemaError(
                f"times {chosen} of {count} stored ones",
                place=f"window of {spec.name}",
                allowed=f"ascending positions {first} to {count - 1}",
                advice="" if inputs else "the first time is the input, since no field is one",
            )
        outputs = spec.by_role("output")
        y, y_names = [], []
        for frame in chosen:
            fields = outputs if frame == chosen[-1] else stored.evolving
            suffix = f"@{spec.times[frame]:g}" if len(chosen) > 1 else ""
            y += [number for one in fields for number in stored.at(one, frame)]
            y_names += stored.names(fields, suffix)
        times = tuple(spec.times[frame] for frame in chosen)
        return Layout(
            np.array([x]), np.array([y]), tuple(x_names), tuple(y_names), len(x), None, times
        )


@dataclass(frozen=True)
class Window:
    """Consecutive frames as channels: x = `inputs` frames of the outputs, y = the next `outputs`.

    Channels are called vorticity@-9 ... vorticity@0 and vorticity@1 ..., counted in frames from
    the last one that is given.

    Args:
        inputs: frames in x.
        outputs: frames in y; None is as many as remain.
        start: position of the first frame of x; None makes an item of each possible start.
        frames: use the first so many frames; None is all.
        every: use every n-th frame, in front of all else.
        fixed: begin x with the input fields (a forcing, a coefficient).
        initial: name of the input field that is the output at time 0, before the stored times;
            it becomes the first frame.
    """

    inputs: int = 10
    outputs: int | None = 10
    start: int | None = None
    frames: int | None = None
    every: int = 1
    fixed: bool = False
    initial: str | None = None

    def ahead(self, steps: int) -> "Window":
        """The window whose targets are those of so many calls of a model, one after the other."""
        return self if self.outputs is None else replace(self, outputs=self.outputs * steps)

    def rolled(self, spec: DatasetSpec) -> "Window":
        """The window of a rollout: from the start to the last frame that whole calls reach."""
        start = self.start or 0
        frames = _sequence(spec, self.every, self.initial)[: self.frames]
        remaining = len(frames) - start - self.inputs
        calls = max(1, remaining // (self.outputs or remaining or 1))
        return replace(self, start=start).ahead(calls)

    def layout(self, spec: DatasetSpec) -> Layout:
        """See `Frames`."""
        sequence = _sequence(spec, self.every, self.initial)[: self.frames]
        # The frames that remain are as many for one start only.
        start = self.start if self.outputs else self.start or 0
        spare = len(sequence) - self.inputs - (self.outputs or 1)
        if self.inputs < 1 or not 0 <= (start or 0) <= spare:
            raise SchemaError(
                f"{len(sequence)} frames",
                place=f"window of {spec.name}",
                allowed=f"at least {self.inputs} + {self.outputs or 1} from frame {start or 0} on",
                advice="ask for fewer inputs or outputs, or an earlier start",
            )
        starts = range(spare + 1) if start is None else [start]
        end = len(sequence) if self.outputs is None else starts[0] + self.inputs + self.outputs
        length = end - starts[0]
        _check_uniform(spec, sequence if start is None else sequence[start:end])
        stored = _Stored(spec)
        fixed = _fixed_fields(spec, self.fixed, self.initial)
        numbers = np.array(
            [[n for one in sequence[s : s + length] for n in one.numbers] for s in starts]
        )
        cut = self.inputs * len(sequence[0].numbers)
        still = np.tile(np.array(stored.still(fixed), int), (len(starts), 1))
        names = [
            name
            for k in range(1 - self.inputs, length - self.inputs + 1)
            for name in stored.names(stored.evolving, f"@{k}")
        ]
        times = tuple(one.time for one in sequence[starts[0] + self.inputs : end])
        return Layout(
            np.concatenate([still, numbers[:, :cut]], 1),
            numbers[:, cut:],
            (*stored.names(fixed), *names[:cut]),
            tuple(names[cut:]),
            still.shape[1],
            None,
            times if len(starts) == 1 else None,
            _spacing(sequence),
        )


@dataclass(frozen=True)
class Pairs:
    """One frame to a later one, with the time between them as the first number of the condition.

        "next"      u(t_i) -> u(t_{i+1})
        "one2all"   u(t_0) -> u(t_j)
        "all2all"   u(t_i) -> u(t_j) for all i <= j, in lexicographic order

    n frames make n (n + 1) / 2 pairs of "all2all": what holds from t_i to t_j is learned from
    every pair of times that are as far apart (the semi-group of an autonomous equation).

    Args:
        kind: one of the table.
        max_lead: largest distance in frames; None is any.
        identity: include the pairs of a frame with itself, lead time 0 (never in "next").
        frames: use the first so many frames; None is all.
        every: use every n-th frame, in front of all else.
        fixed, initial: see `Window`.

    Source: Herde et al. 2024, Poseidon, arXiv:2405.19101, section 2.
    """

    kind: Literal["next", "one2all", "all2all"] = "all2all"
    max_lead: int | None = None
    identity: bool = True
    frames: int | None = None
    every: int = 1
    fixed: bool = False
    initial: str | None = None

    def rolled(self, spec: DatasetSpec) -> Window:
        """The window of a rollout: from the first frame to all others."""
        del spec
        return Window(1, None, 0, self.frames, self.every, self.fixed, self.initial)

    def layout(self, spec: DatasetSpec) -> Layout:
        """See `Frames`."""
        sequence = _sequence(spec, self.every, self.initial)[: self.frames]
        pairs = self.pairs(len(sequence))
        if not pairs:
            raise SchemaError(
                f"{len(sequence)} frames and no pair",
                place=f"window of {spec.name}",
                allowed="two frames or more, max_lead >= 1",
            )
        stored = _Stored(spec)
        fixed = _fixed_fields(spec, self.fixed, self.initial)
        still = stored.still(fixed)
        return Layout(
            np.array([[*still, *sequence[i].numbers] for i, _ in pairs]),
            np.array([sequence[j].numbers for _, j in pairs]),
            (*stored.names(fixed), *stored.names(stored.evolving, "@0")),
            tuple(stored.names(stored.evolving, "@lead")),
            len(still),
            np.array([sequence[j].time - sequence[i].time for i, j in pairs]),
            None,
            _spacing(sequence),
        )

    def pairs(self, frames: int) -> list[tuple[int, int]]:
        """Positions (from, to) of all pairs of so many frames.

        >>> Pairs("all2all").pairs(3)
        [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
        """
        least = 0 if self.identity and self.kind != "next" else 1
        most = 1 if self.kind == "next" else frames if self.max_lead is None else self.max_lead
        starts = range(min(frames, 1) if self.kind == "one2all" else frames)
        return [(i, j) for i in starts for j in range(i + least, min(frames, i + most + 1))]


@dataclass(frozen=True)
class _Frame:
    time: float
    numbers: list[int]


class _Stored:
    """Numbers and names of stored channels."""

    def __init__(self, spec: DatasetSpec):
        self.spec = spec
        self.evolving = tuple(one for one in spec.by_role("output") if one.time_varying)
        self._numbers = {channel: k for k, channel in enumerate(stored_channels(spec))}
        moving = [one.name for one in spec.by_role("input") if one.time_varying]
        if moving and len(spec.times) > 1:
            raise SchemaError(
                f"inputs {moving} vary in time",
                place=f"window of {spec.name}",
                allowed="inputs that do not",
                advice="store them as outputs, which become frames",
            )

    def at(self, one: FieldSpec, frame: int) -> list[int]:
        frame = frame if one.time_varying else 0
        parts = range(len(one.components(self.spec.grid.dims)))
        return [self._numbers[Channel(one, frame, part)] for part in parts]

    def still(self, fields: Sequence[FieldSpec]) -> list[int]:
        return [number for one in fields for number in self.at(one, 0)]

    def moving(self, frame: int) -> list[int]:
        return [number for one in self.evolving for number in self.at(one, frame)]

    def names(self, fields: Sequence[FieldSpec], suffix: str = "") -> list[str]:
        dims = self.spec.grid.dims
        return [name + suffix for one in fields for name in one.components(dims)]


def _sequence(spec: DatasetSpec, every: int, initial: str | None) -> list[_Frame]:
    """The frames that windows are cut from."""
    stored = _Stored(spec)
    if every < 1 or not stored.evolving:
        raise SchemaError(
            f"every is {every} and the outputs that vary in time are "
            f"{[one.name for one in stored.evolving]}",
            place=f"window of {spec.name}",
            allowed="every >= 1 and at least one such output",
        )
    frames = [_Frame(time, stored.moving(k)) for k, time in enumerate(spec.times)]
    if initial is not None:
        frames = [_Frame(0.0, _initial_numbers(stored, initial)), *frames]
    return frames[::every]


def _spacing(sequence: Sequence[_Frame]) -> float:
    return (sequence[-1].time - sequence[0].time) / max(len(sequence) - 1, 1)


def _initial_numbers(stored: _Stored, initial: str) -> list[int]:
    inputs = stored.spec.by_role("input")
    numbers = stored.still([one for one in inputs if one.name == initial])
    wanted = len(stored.moving(0))
    if len(numbers) != wanted or stored.spec.times[0] <= 0:
        raise SchemaError(
            f"initial is {initial!r} of {len(numbers)} channels, the first time is "
            f"{stored.spec.times[0]:g}",
            place=f"window of {stored.spec.name}",
            allowed=f"one of the inputs {[one.name for one in inputs]} with {wanted} channels, and "
            "a first time > 0",
            advice="leave initial out if the first stored frame is the start",
        )
    return numbers


def _fixed_fields(spec: DatasetSpec, wanted: bool, initial: str | None) -> list[FieldSpec]:
    return [one for one in spec.by_role("input") if one.name != initial] if wanted else []


def _check_uniform(spec: DatasetSpec, sequence: Sequence[_Frame]) -> None:
    times = np.array([one.time for one in sequence])
    steps = np.diff(times)
    slack = _TIME_ROUNDING * np.abs(times).max() + 1e-6 * np.abs(steps).max(initial=0.0)
    if len(steps) and np.ptp(steps) > 2 * slack:
        raise SchemaError(
            f"distances of {steps.min():.6g} to {steps.max():.6g} between frames",
            place=f"window of {spec.name}",
            allowed="equal distances, since a window carries no time",
            advice="use Pairs, whose condition is the lead time, or AtTimes",
        )
