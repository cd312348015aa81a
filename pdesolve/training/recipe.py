"""What the caller chose for a training run, whatever the model and the data."""

from dataclasses import dataclass, replace

from ..datasets.data import Data
from .augmentation import Augmentation
from .objective import Loss, Objective
from .optimizers import MakeOptimizer
from .schedules import Schedule
from .settings import Settings


@dataclass(frozen=True)
class Recipe:
    """The arguments of `fit` that shape the weights, under the names that they have there."""

    loss: Loss
    objective: Objective
    optimizer: MakeOptimizer
    schedule: Schedule
    augmentation: Augmentation | None
    settings: Settings

    @property
    def steps(self) -> int:
        """Calls of the model that the objective makes one after the other."""
        return getattr(self.objective, "steps", 1)

    def of_epoch(self, epoch: int) -> "Recipe":
        """The recipe of one epoch, counted from 0: a loss may change from epoch to epoch.

        Such a loss offers `at(epoch, epochs)`, the loss of that epoch.
        """
        at = getattr(self.loss, "at", None)
        return self if at is None else replace(self, loss=at(epoch, self.settings.epochs))

    def check(self, train: Data, valid: Data | None) -> None:
        """Refuse what contradicts itself or the data, before the first step.

        Raises:
            ValueError: weights are to be chosen without a validation set, the augmentation
                refuses the training set, or the objective takes other channels for frames.
        """
        for name in ("patience", "keep"):
            if valid is None and getattr(self.settings, name) not in (None, "last"):
                raise ValueError(
                    f"{name} is {getattr(self.settings, name)!r} without a validation set, "
                    f"expected one: give valid=, or split one off with datasets.split"
                )
        fixed = getattr(self.objective, "fixed", train.fixed_channels)
        if fixed != train.fixed_channels:
            raise ValueError(
                f"objective has fixed={fixed}, expected {train.fixed_channels}, the number of "
                f"input channels that are no frames: pass fixed=dataset.fixed_channels"
            )
        if self.augmentation is not None:
            self.augmentation.check(train)
