"""A dataset in a mixture: its channels under common names, its times on a common scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from .dataset import Dataset
from .errors import SchemaError
from .windows import LEAD_TIME, quantity


@dataclass(frozen=True)
class Member:
    """A dataset in a mixture, and how it is seen there.

    Args:
        dataset: with its window.
        weight: share of the mixture's items, relative to the other members'; None is its length.
        time_scale: its lead times are divided by it, so that members of different speed meet.
        filled: value of each quantity that it lacks, such as {"density": 1.0}.
        unseen: quantities whose predictions are not judged, such as a filled pressure.
        shift: what is subtracted from a quantity, such as {"pressure": 2.5}.
    """

    dataset: Dataset
    weight: float | None = None
    time_scale: float = 1.0
    filled: Mapping[str, float] = field(default_factory=dict)
    unseen: Sequence[str] = ()
    shift: Mapping[str, float] = field(default_factory=dict)


class Seen:
    """A member through the channels of the mixture."""

    def __init__(
        self, member: Member, first: Dataset, inputs: Sequence[str], outputs: Sequence[str]
    ):
        self.member, dataset = member, member.dataset
        self._check(first)
        self._x = _sources(dataset.input_names, inputs, member)
        self._y = _sources(dataset.output_names, outputs, member)
        unseen = [quantity(name) in member.unseen for name in outputs]
        self._judged = None
        if any(unseen):
            self._judged = 1 - torch.tensor(unseen).to(torch.float32)

    def batch(self, indices: np.ndarray) -> Batch:
        one = self.member.dataset.batch(indices)
        mask = one.mask
        if self._judged is not None:
            seen = self._judged.reshape(-1, *[1] * (one.y.ndim - 2)).to(one.y)
            shape = len(one), len(seen), *one.y.shape[2:]
            mask = seen.expand(shape) if mask is None else seen * mask
        condition = one.condition
        if condition is not None and self.member.dataset.condition_names[0] == LEAD_TIME:
            scaled = condition[:, :1] / self.member.time_scale
            condition = torch.cat([scaled, condition[:, 1:]], 1)
        x, y = _presented(one.x, self._x), _presented(one.y, self._y)
        return replace(one, x=x, y=y, condition=condition, mask=mask)

    def within(self, limit: float | None) -> np.ndarray:
        """Items whose scaled lead time is no longer than the limit."""
        dataset = self.member.dataset
        if limit is None or dataset.lead_times is None:
            return np.arange(len(dataset))
        allowed = np.array(dataset.lead_times) / self.member.time_scale <= limit * (1 + 1e-6)
        return np.flatnonzero(np.tile(allowed, dataset.trajectories))

    def moments(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Means and variances of the channels of x and y."""
        values = self.member.dataset.normalization()
        found = {}
        for part, sources in (("x", self._x), ("y", self._y)):
            mean, std = (values[f"{part}_{which}"].double().numpy() for which in ("mean", "std"))
            means = [s.value if s.channel is None else mean[s.channel] - s.value for s in sources]
            variances = [0.0 if s.channel is None else std[s.channel] ** 2 for s in sources]
            found[part] = np.array(means), np.array(variances)
        return found

    def _check(self, first: Dataset) -> None:
        dataset = self.member.dataset
        for what, one, other in (
            ("box and points", _box(dataset), _box(first)),
            ("parameters", dataset.condition_names, first.condition_names),
            ("fixed channels", dataset.fixed_channels, first.fixed_channels),
        ):
            if one != other:
                raise SchemaError(
                    f"{what} {one}",
                    file=dataset.path or dataset.name,
                    allowed=f"{other} as {first.name}, the first of the mixture",
                    advice="choose sets that agree, or bring them to one with stride and window",
                )


def _box(dataset: Dataset) -> tuple:
    grid = dataset.grid
    return grid.shape, grid.lengths, grid.periodic


@dataclass(frozen=True)
class _Source:
    """A stored channel less a shift, or without one the value that fills it."""

    channel: int | None
    value: float


def _sources(own: Sequence[str], wanted: Sequence[str], member: Member) -> list[_Source]:
    sources = []
    for name in wanted:
        one = quantity(name)
        if name in own:
            sources.append(_Source(own.index(name), member.shift.get(one, 0.0)))
        elif one in member.filled:
            sources.append(_Source(None, member.filled[one]))
        else:
            raise SchemaError(
                f"channels {list(own)} without {name}",
                file=member.dataset.path or member.dataset.name,
                allowed=f"all of {list(wanted)}, the channels of the mixture",
                advice=f"fill the quantity, such as filled={{{one!r}: 0.0}}",
            )
    return sources


def _presented(fields: Tensor, sources: Sequence[_Source]) -> Tensor:
    like = fields[:, :1]
    parts = [
        torch.full_like(like, s.value) if s.channel is None else fields[:, [s.channel]] - s.value
        for s in sources
    ]
    return torch.cat(parts, 1)
