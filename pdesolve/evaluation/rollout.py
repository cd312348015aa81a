"""How errors grow when a model is called on its own predictions, beside standing still."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..datasets import Dataset, Mixture
from ..datasets.windows import LEAD_TIME
from ..ops import norms
from ..ops.rollout import frame_rollout
from .inference import Model, predictions
from .lead_times import called, check_takes_condition, with_lead

# Times whose errors stand among the metrics; the picture shows all.
TIMES_TOLD = 5


@dataclass(frozen=True)
class RolloutErrors:
    """Relative L2 errors of rollouts, float64 on the CPU.

    Args:
        times: of the predicted frames, in time units.
        l2: ‖û(t) - u(t)‖ / ‖u(t)‖ of each sample at each time.
        whole: the same over all frames of a sample together.
        persistence: l2 of the last input frame, taken for all later ones.
        persistence_whole: whole of it.
    """

    times: tuple[float, ...]
    l2: Float[Tensor, "samples times"]
    whole: Float[Tensor, " samples"]
    persistence: Float[Tensor, "samples times"]
    persistence_whole: Float[Tensor, " samples"]

    def figures(self) -> dict[str, float]:
        """Return the model's means: l2 over all frames, l2@TIME at five times, the last one too."""
        return self._means(self.whole, self.l2) | {
            "l2_std": float(self.whole.std(correction=0)),
            "samples": float(len(self.whole)),
        }

    def persistence_figures(self) -> dict[str, float]:
        """Return the means of standing still, under the same names."""
        return self._means(self.persistence_whole, self.persistence)

    def _means(self, whole: Tensor, l2: Tensor) -> dict[str, float]:
        last = len(self.times) - 1
        told = sorted({round(last * k / (TIMES_TOLD - 1)) for k in range(TIMES_TOLD)})
        at_times = {f"l2@{self.times[k]:g}": float(l2[:, k].mean()) for k in told}
        return {"l2": float(whole.mean()), **at_times}


def rollout_errors(
    model: Model,
    dataset: Dataset | Mixture,
    *,
    hops: Sequence[int] | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> RolloutErrors:
    """Return the errors of a model from the first frames of each trajectory to its end.

    Args:
        model: called as on the dataset's batches: with a window of frames, or with one frame and
            its lead time.
        dataset: of a `Window` or of `Pairs`, as the model was trained on; of a mixture one member,
            from `Mixture.alone`.
        hops: of `Pairs`, the lead times of the calls in frames, one after the other, such as
            [2, 2, 3] or [7], to the last frame; by default each call goes one frame ahead.
        batch_size, device: see `metrics.evaluate`.

    Raises:
        ValueError: hops are given for a window or do not end at the last frame, the model takes
            no lead time, or its frames do not fill the targets.
        SchemaError: the dataset's window has no rollout, or a mixture has several members.
    """
    plan = planned(model, dataset, hops)
    width, rolled = plan.width, plan.dataset
    parts: list[tuple[Tensor, ...]] = []
    for batch, prediction in predictions(plan.model, rolled, batch_size=batch_size, device=device):
        truth = batch.y[:, plan.channels].double()
        still = batch.x[:, -width:].repeat(1, len(plan.times), *[1] * rolled.grid.dims)
        guesses, mask = (prediction[:, plan.channels].double(), still.double()), plan.mask(batch)
        parts.append(tuple(part for u in guesses for part in _errors(u, truth, mask, width)))
    l2, whole, persistence, persistence_whole = (
        torch.cat(one).cpu() for one in zip(*parts, strict=True)
    )
    return RolloutErrors(plan.times, l2, whole, persistence, persistence_whole)


@dataclass(frozen=True)
class Plan:
    """How a model is called on its own predictions to the end of a dataset's trajectories.

    Args:
        model: from the first frames to all that it reaches.
        dataset: first frames and all later ones.
        times: of the frames that are reached.
        channels: where they stand among the channels of the targets.
        width: channels of a frame.
    """

    model: nn.Module
    dataset: Dataset | Mixture
    times: tuple[float, ...]
    channels: list[int]
    width: int

    def mask(self, batch: Batch) -> Tensor | None:
        """Where the frames that are reached are judged, channel by channel."""
        if batch.mask is None:
            return None
        return batch.mask.expand(-1, batch.y.shape[1], *batch.mask.shape[2:])[:, self.channels]


def planned(model: Model, dataset: Dataset | Mixture, hops: Sequence[int] | None = None) -> Plan:
    """Return the rollouts of a model; arguments and errors are those of `rollout_errors`."""
    rolled = dataset.rolled()
    times = rolled.target_times or ()
    width = rolled.out_channels // len(times)
    leads, reached = None, list(range(len(times)))
    if dataset.condition_names[:1] == (LEAD_TIME,):
        check_takes_condition(model)
        hops = _checked(hops or [1] * len(times), len(times))
        leads = [hop * dataset.frame_spacing for hop in hops]
        reached = [end - 1 for end in itertools.accumulate(hops)]
    elif hops is not None:
        raise ValueError(f"hops is {hops}, expected None for a window, which has no lead time")
    calls = rolled.out_channels // dataset.out_channels if leads is None else len(leads)
    channels = [width * k + part for k in reached for part in range(width)]
    caller = _Rolled(
        model, leads or [None] * calls, rolled.fixed_channels, channels, width, dataset.held
    )
    return Plan(caller, rolled, tuple(times[k] for k in reached), channels, width)


class _Rolled(nn.Module):
    """A model called again and again; its frames stand where their times are among the targets."""

    def __init__(
        self,
        model: Model,
        leads: Sequence[float | None],
        fixed: int,
        channels: Sequence[int],
        width: int,
        held: Sequence[int],
    ):
        super().__init__()
        self.model, self.leads, self.fixed, self.channels = model, leads, fixed, list(channels)
        self.width, self.held = width, list(held)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        calls = [partial(self._call, with_lead(x, condition, lead)) for lead in self.leads]
        frames = torch.cat(frame_rollout(calls, x, fixed=self.fixed), 1)
        if frames.shape[1] != len(self.channels):
            raise ValueError(
                f"model makes {frames.shape[1]} channels in {len(calls)} calls, expected "
                f"{len(self.channels)}: build it with the dataset's out_channels"
            )
        # Times between those that the calls reach are not judged, but have their place.
        y = frames.new_full((len(x), max(self.channels) + 1, *x.shape[2:]), math.nan)
        y[:, self.channels] = frames
        return y

    def _call(self, condition: Tensor | None, x: Tensor) -> Tensor:
        y = called(self.model, condition, x)
        if self.held and y.shape[1] % self.width == 0:
            # What is known goes on as it is: nobody taught the model to predict it.
            y = y.unflatten(1, (-1, self.width)).clone()
            y[:, :, self.held] = x[:, None, -self.width :][:, :, self.held]
            y = y.flatten(1, 2)
        return y


def _errors(guess: Tensor, truth: Tensor, mask: Tensor | None, width: int) -> tuple[Tensor, Tensor]:
    masks = [None] * (guess.shape[1] // width) if mask is None else mask.split(width, 1)
    frames = zip(guess.split(width, 1), truth.split(width, 1), masks, strict=True)
    each = torch.stack([norms.relative_lp(a, b, mask=m) for a, b, m in frames], 1)
    return each, norms.relative_lp(guess, truth, mask=mask)


def _checked(hops: Sequence[int], frames: int) -> Sequence[int]:
    if min(hops) < 1 or sum(hops) != frames:
        raise ValueError(f"hops is {list(hops)}, expected numbers >= 1 whose sum is {frames}")
    return hops
