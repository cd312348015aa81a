"""Several datasets as one: shares of an epoch, common channels, lead times that grow."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from .dataset import Dataset
from .errors import SchemaError
from .member import Member, Seen
from .windows import quantity


class Mixture:
    """Items of several datasets side by side, with the attributes that training asks of a Dataset.

    The channels are those of the first member, or of the quantities that are asked for; a member
    has them or fills them. Members have equal boxes and points, but for a shift of half a spacing,
    and carry the same parameters; a batch may hold items of several.

    An epoch has as many items as all members together. Of them each member has its share, taken
    from one endless sequence of shuffled passes through it: over several epochs each of its items
    is seen equally often. The order of an epoch is a function of seed and epoch alone.

    Args:
        members: at least one.
        name: of the mixture.
        quantities: channels of a frame, such as ("density", "velocity_x", "velocity_y"); others
            that members hold are left out, but for fields that do not vary in time, which come
            before all frames, in this order if they are named. None are those of the first member.
        horizon: (epoch, lead time) pairs, ascending: from that epoch on (the first is 0) only
            items with scaled lead times up to the second number are seen, in epochs of the same
            length. None sees all at once.
        statistics: mean and standard deviation of quantities, such as {"density": (0.8, 0.31)};
            those that are not named are gathered from the members that show them.

    Raises:
        SchemaError: channels, grids or parameters of the members differ, or no item has so short
            a lead time as the horizon begins with.

    Source: Herde et al. 2024, Poseidon, arXiv:2405.19101: six datasets of gases and liquids as
    density, velocity and pressure, with density 1 and pressure 0 filled in where there are none.
    """

    path: Path | None = None
    equation = ""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        name: str = "mixture",
        quantities: Sequence[str] | None = None,
        horizon: Sequence[tuple[int, float]] | None = None,
        statistics: Mapping[str, tuple[float, float]] | None = None,
    ):
        first = members[0].dataset
        self.members, self.name = tuple(members), name
        self.horizon = None if horizon is None else tuple((int(e), float(t)) for e, t in horizon)
        self.statistics = dict(statistics or {})
        self.grid: Grid = first.grid
        self.times = first.times
        self.quantities = None if quantities is None else tuple(quantities)
        self.input_names, self.output_names = _channels(first, quantities)
        self.condition_names = first.condition_names
        known = {quantity(n): u for one in members for n, u in one.dataset.units.items()}
        names = (*self.input_names, *self.output_names)
        self.units = {name: known.get(quantity(name), "1") for name in names}
        self.fixed_channels = first.fixed_channels
        self.frame_spacing = first.frame_spacing / members[0].time_scale
        self.target_times = first.target_times if len(members) == 1 else None
        self.equation_parameters: dict[str, Any] = {}
        self._starts = np.cumsum([0, *(len(one.dataset) for one in members)])
        names = self.input_names, self.output_names
        self._seen = [Seen(one, first, *names) for one in members]
        if self.horizon is not None:
            _check_horizon(self.horizon, self._seen, name)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        names = ", ".join(one.dataset.name for one in self.members)
        return f"Mixture({self.name}: {len(self)} items of {names})"

    @property
    def trajectories(self) -> int:
        """Number of stored samples of all members."""
        return sum(one.dataset.trajectories for one in self.members)

    @property
    def seeds(self) -> list[int]:
        """Random seed of the stored sample of each item, -1 where there is none."""
        return [seed for one in self.members for seed in one.dataset.seeds]

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return len(self.input_names)

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return len(self.output_names)

    @property
    def condition_dim(self) -> int:
        """Number of parameters that each item carries."""
        return len(self.condition_names)

    @property
    def window(self) -> dict[str, Any]:
        """All that shapes the items, for the identity of a run."""
        described = [
            {"window": one.dataset.window} | {k: v for k, v in vars(one).items() if k != "dataset"}
            for one in self.members
        ]
        own = ("quantities", "horizon", "statistics")
        return {"members": described, **{name: getattr(self, name) for name in own}}

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of the hashes of the members, in their order."""
        hashes = "".join(one.dataset.data_hash for one in self.members)
        return sha256(hashes.encode()).hexdigest()

    def batch(self, indices: Sequence[int] | np.ndarray | Tensor) -> Batch:
        """Return items side by side.

        Args:
            indices: positions, in any order, which is kept.

        Raises:
            IndexError: a position is outside.
            DataError: see `Dataset.batch`.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not wanted.size or wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(
                f"indices are {wanted.tolist()[:8]}, expected one or more of 0 to {len(self) - 1}"
            )
        owners = np.searchsorted(self._starts, wanted, side="right") - 1
        parts = [
            self._seen[k].batch(wanted[owners == k] - self._starts[k]) for k in np.unique(owners)
        ]
        # Parts stand in the order of the members: each item goes back to where it was asked for.
        back = torch.from_numpy(np.argsort(np.argsort(owners, kind="stable"), kind="stable"))
        return _joined(parts, back)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the items of an epoch, in their order: len(self) of them."""
        counts = _shares([self._weight(one) for one in self.members], len(self))
        limit = _limit(self.horizon, epoch)
        chosen = []
        for k, (count, seen) in enumerate(zip(counts, self._seen, strict=True)):
            open_items = seen.within(limit)
            before = epoch * count
            passes = _passes(len(open_items), before, count, (seed, k))
            chosen.append(self._starts[k] + open_items[passes])
        # Philox is counter-based and the same on every platform.
        shuffled = np.concatenate(chosen)
        return _random(seed, len(self.members), epoch).permutation(shuffled)

    def ahead(self, steps: int) -> "Mixture":
        """Return the mixture whose targets are those of so many calls in a row.

        Raises:
            SchemaError: a member's window cannot be lengthened.
        """
        if steps == 1:
            return self
        members = [replace(one, dataset=one.dataset.ahead(steps)) for one in self.members]
        options = {n: getattr(self, n) for n in ("name", "quantities", "horizon", "statistics")}
        return Mixture(members, **options)

    def alone(self) -> list["Mixture"]:
        """Return each member as a mixture of its own, with the channels that it has in this one."""
        still = [name for name in self.input_names if _still(name)]
        moving = dict.fromkeys(quantity(name) for name in self.output_names)
        options = {"quantities": (*still, *moving), "statistics": self.statistics}
        return [Mixture([one], name=one.dataset.name, **options) for one in self.members]

    def rolled(self) -> "Mixture":
        """Return the mixture of rollouts of one member, see `Dataset.rolled`.

        Raises:
            SchemaError: there are several members, whose frames have times of their own.
        """
        only, *others = self.alone()
        if others:
            raise SchemaError(
                f"{len(self.members)} members",
                file=self.name,
                allowed="one, whose frames a rollout follows",
                advice="ask each of `mixture.alone()`",
            )
        members = [replace(one, dataset=one.dataset.rolled()) for one in only.members]
        return Mixture(members, name=self.name, quantities=only.quantities)

    @property
    def held(self) -> tuple[int, ...]:
        """Channels of a frame that are filled and not judged: known, so a rollout keeps them."""
        moving = dict.fromkeys(quantity(name) for name in self.output_names)

        def known(name: str) -> bool:
            return all(name in one.filled and name in one.unseen for one in self.members)

        return tuple(k for k, name in enumerate(moving) if known(name))

    def normalization(self) -> dict[str, Float[Tensor, " c"]]:
        """Mean and deviation of each channel over the members by their shares; see `Dataset`.

        A quantity counts where it is seen: filled constants that are not judged are left out.
        """
        weights = np.array([self._weight(one) for one in self.members], float)
        values = {}
        moments = [seen.moments() for seen in self._seen]
        for part, names in (("x", self.input_names), ("y", self.output_names)):
            mean, std = np.zeros(len(names)), np.ones(len(names))
            for c, one in enumerate(map(quantity, names)):
                known = [k for k, m in enumerate(self.members) if one not in m.unseen]
                shares = weights[known] / weights[known].sum() if known else np.zeros(0)
                means, squares = (
                    np.array([moments[k][part][which][c] for k in known]) for which in (0, 1)
                )
                mean[c] = shares @ means
                variance = shares @ (squares + means**2) - mean[c] ** 2
                std[c] = np.sqrt(variance) if variance > 0 else 1.0
                mean[c], std[c] = self.statistics.get(one, (mean[c], std[c]))
            values[f"{part}_mean"] = torch.from_numpy(mean).float()
            values[f"{part}_std"] = torch.from_numpy(std).float()
        return values

    def metadata(self) -> dict[str, Any]:
        """What a run or a saved model should remember of its data, as JSON values."""
        return {
            "name": self.name,
            "samples": len(self),
            "trajectories": self.trajectories,
            "grid": self.grid.as_dict(),
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
            "condition_names": list(self.condition_names),
            "fixed_channels": self.fixed_channels,
            "units": self.units,
            "equation": self.equation,
            "equation_parameters": self.equation_parameters,
            "data_hash": self.data_hash,
            "members": [one.dataset.metadata() for one in self.members],
        }

    def _weight(self, one: Member) -> float:
        return len(one.dataset) if one.weight is None else one.weight


def _still(name: str) -> bool:
    """Whether an input channel is no frame."""
    return quantity(name) == name


def _channels(
    first: Dataset, quantities: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the inputs and outputs that a dataset gives, with these quantities in each frame."""
    x, y = first.input_names, first.output_names
    if quantities is None:
        return x, y
    still = [name for name in x if _still(name)]
    moving = [name for name in quantities if name not in still]
    still.sort(key=lambda name: quantities.index(name) if name in quantities else -1)
    return (*still, *_framed([n for n in x if not _still(n)], moving)), _framed(y, moving)


def _framed(names: Sequence[str], quantities: Sequence[str]) -> tuple[str, ...]:
    """The quantities in each frame of some channels, frame by frame."""
    frames = dict.fromkeys(name.removeprefix(quantity(name)) for name in names)
    return tuple(one + frame for frame in frames for one in quantities)


def _joined(parts: Sequence[Batch], order: Tensor) -> Batch:
    # Where only some have a mask the others are judged everywhere.
    masked = any(part.mask is not None for part in parts)
    masks = [_mask(part) if masked else None for part in parts]

    def together(tensors: list[Tensor | None]) -> Tensor | None:
        present = [t for t in tensors if t is not None]
        return torch.cat(present)[order] if present else None

    x, y = (torch.cat([getattr(p, name) for p in parts])[order] for name in ("x", "y"))
    condition = together([p.condition for p in parts])
    return replace(parts[0], x=x, y=y, condition=condition, mask=together(masks))


def _mask(part: Batch) -> Tensor:
    mask = torch.ones_like(part.y[:1]) if part.mask is None else part.mask
    return mask.expand_as(part.y)


def _shares(weights: Sequence[float], items: int) -> list[int]:
    """Whole numbers with that sum, as near to the weights as whole numbers are."""
    if min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights are {list(weights)}, expected numbers >= 0 with a sum > 0")
    ends = np.rint(np.cumsum(weights) / sum(weights) * items).astype(int)
    return np.diff(ends, prepend=0).tolist()


def _passes(items: int, before: int, count: int, key: tuple[int, int]) -> np.ndarray:
    """Elements before ... before + count - 1 of shuffled passes through so many items."""
    parts = []
    while count > 0:
        number, skipped = divmod(before, items)
        part = _random(*key, number).permutation(items)[skipped : skipped + count]
        parts.append(part)
        before, count = before + len(part), count - len(part)
    return np.concatenate(parts) if parts else np.zeros(0, int)


def _random(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _limit(horizon: Sequence[tuple[int, float]] | None, epoch: int) -> float | None:
    if horizon is None:
        return None
    return [lead for start, lead in horizon if start <= epoch][-1]


def _check_horizon(horizon: Sequence[tuple[int, float]], seen: Sequence[Seen], name: str) -> None:
    timeless = [one.member.dataset.name for one in seen if one.member.dataset.lead_times is None]
    if timeless:
        raise SchemaError(
            f"horizon {list(horizon)} for {timeless}, which have no lead times",
            file=name,
            allowed="members that are seen through Pairs",
            advice="leave the horizon out, or open them with window=Pairs()",
        )
    starts = [epoch for epoch, _ in horizon]
    least = horizon[0][1] if horizon else None
    empty = [one.member.dataset.name for one in seen if not len(one.within(least))]
    if not starts or starts[0] != 0 or sorted(set(starts)) != starts or empty:
        raise SchemaError(
            f"horizon {list(horizon)}" + (f" shows no item of {empty}" if empty else ""),
            file=name,
            allowed="(epoch, lead time) pairs, the first at epoch 0, epochs ascending, lead times "
            "that some items of each member have",
        )
