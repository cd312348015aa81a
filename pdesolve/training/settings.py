"""The numbers of a training run that are neither model, data, loss nor optimiser."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """How long, how much at a time, how often.

    Args:
        epochs: passes through the training set.
        batch_size: samples a batch, in each process or group of processes.
        seed: fixes the order of samples, augmentation and dropout; the initial weights are the
            caller's.
        precision: "bfloat16" runs the model under autocast (spectral blocks protect themselves),
            "float32" in the model's own dtype. Validation always uses the model's own dtype.
        clip_norm: largest 2-norm of the gradient over all parameters; None does not clip.
        accumulate: batches a step; the gradient is that of one batch of all their samples.
        ema_decay: averaged weights move by 1 - ema_decay each step; they are then what is
            validated and what `fit` leaves in the model. Good values 0.99 to 0.9999.
        patience: epochs without a better validation before the run stops; None never stops.
        validate_every: epochs between validations; the last epoch is always validated.
        checkpoint_every: steps between checkpoints; None writes one at the end of each epoch.
        log_every: steps between log lines within an epoch; None logs epochs only.
        keep: which weights `fit` leaves in the model.
        patch_processes: under torchrun, processes that compute each sample together, each a part
            of its patches (`operators.MGTFNO`); samples are shared by groups of that many. Must
            divide the number of processes and the patches of each batch.
        device: where to train, such as "cuda"; None stays where the model is. Under torchrun a
            CUDA device is that of the local rank.

    Raises:
        ValueError: a value is outside of what is said above.
    """

    epochs: int = 20
    batch_size: int = 16
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float | None = None
    patience: int | None = None
    validate_every: int = 1
    checkpoint_every: int | None = None
    log_every: int | None = None
    keep: Literal["last", "best"] = "last"
    patch_processes: int = 1
    device: str | None = None

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulate", "validate_every", "patch_processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number >= 1")
        for name in ("patience", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected a number >= 1, or None for never")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}, expected a number > 0, or None")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}, expected 0 < ema_decay < 1, or None")
        self._check_choices()

    def _check_choices(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(
                f'precision is {self.precision!r}, expected "float32" or "bfloat16"; '
                f"for float64 convert model and data"
            )
        if self.keep not in ("last", "best"):
            raise ValueError(f'keep is {self.keep!r}, expected "last" or "best"')
