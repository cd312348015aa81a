"""What the caller chose for a training run, whatever the model and the data."""

from dataclasses import dataclass

from ..datasets import Dataset
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

    def check(self, train: Dataset, valid: Dataset | None) -> None:
        """Refuse what contradicts itself or the data, before the first step.

        Raises:
            ValueError: weights are to be chosen without a validation set, or the augmentation
                refuses the training set.
        """
        for name in ("patience", "keep"):
            if valid is None and getattr(self.settings, name) not in (None, "last"):
                raise ValueError(
                    f"{name} is {getattr(self.settings, name)!r} without a validation set, "
                    f"expected one: give valid=, or split one off with datasets.split"
                )
        if self.augmentation is not None:
            self.augmentation.check(train)
