"""What an equation is asked about stored fields, and what `verify` found."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..grid import Grid

# Fields (b, *grid) of some samples by name, (b, t, *grid) where an equation that evolves is
# recorded, and their parameters (b,), on a grid.
Fields = dict[str, Tensor]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and with which samples; no samples means the file."""

    kind: str
    message: str
    place: str = ""
    samples: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(str(index) for index in self.samples[:8])
        more = f" and {len(self.samples) - 8} more" if len(self.samples) > 8 else ""
        # An error's own message names its place already.
        place = "" if self.place in self.message else self.place
        told = ": ".join(part for part in (self.kind, place, self.message) if part)
        return f"{told} (samples {shown}{more})" if self.samples else told


@dataclass(frozen=True)
class Physics:
    """What an equation has to say of stored fields.

    Args:
        check: its invariants: (name, suspicious samples (b,), sentence) for each.
        residual: how well the fields solve it, relative, (b,).
        anew: residual of what its solver makes of the same inputs, rounded as it is stored: what
            can be expected; None where nothing can be solved.
        reason: why there is no residual.
    """

    check: Callable[[Fields, Grid], Sequence[tuple[str, Tensor, str]]] | None = None
    residual: Callable[[Fields, Grid], Tensor] | None = None
    anew: Callable[[Fields, Grid], Tensor] | None = None
    reason: str = "no equation was asked"


@dataclass(frozen=True)
class Residuals:
    """The equation's relative residual on stored fields, sample by sample.

    Args:
        samples: which ones.
        values: their residuals.
        anew: that of the first of them, solved anew.
        suspicious: those whose residual is much larger than that of a sample solved anew.
        reason: why there are none.
    """

    samples: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    anew: float | None = None
    suspicious: tuple[int, ...] = ()
    reason: str = ""

    @property
    def worst(self) -> tuple[int, float] | None:
        """The sample with the largest residual, NaN being the largest of all, and its figure."""
        if not self.values:
            return None
        found = int(np.argmax(np.where(np.isnan(self.values), np.inf, self.values)))
        return self.samples[found], self.values[found]

    def __str__(self) -> str:
        if self.worst is None:
            return f"not formed: {self.reason}"
        sample, value = self.worst
        told = f"median {np.median(self.values):.1e}, worst {value:.1e} (sample {sample})"
        return told if self.anew is None else f"{told}; solved anew {self.anew:.1e}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values; a residual that is not finite is null."""
        values = [value if np.isfinite(value) else None for value in self.values]
        worst = None if self.worst is None else self.worst[0]
        return {**asdict(self), "values": values, "worst_sample": worst}


@dataclass(frozen=True)
class Report:
    """What `verify` found; a file without errors is what its writer left.

    Args:
        errors: damage.
        warnings: sound bytes that look wrong: rejected samples, broken invariants, large residuals.
        samples: samples that may be used.
        data_hash: of the fields and seeds of those; "" if the file does not open.
        residuals: of the equation, where samples were read.
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    samples: int
    data_hash: str
    residuals: Residuals = Residuals(reason="no sample was read")

    @property
    def verdict(self) -> str:
        """One word: sound, busy, unfinished or damaged."""
        kinds = {finding.kind for finding in self.errors}
        known = {"FileBusyError": "busy", "IncompleteFileError": "unfinished"}
        if not kinds:
            return "sound"
        return known.get(kinds.pop(), "damaged") if len(kinds) == 1 else "damaged"

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "verdict": self.verdict, "residuals": self.residuals.as_dict()}
