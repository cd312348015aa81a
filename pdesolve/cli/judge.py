"""A trained model judged on test sets: figures with their references, pictures, one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def judge(
    model: Any, sets: Any, folder: Path, config: Any, *, history: Sequence[dict] = ()
) -> dict[str, float]:
    """Return `test/...` and `test@33/...` figures and write `report.html` with its pictures.

    Beside each figure stand what a reader should compare it with: the training mean, and at
    another resolution the trivial rival, predicting at the training resolution and interpolating.
    """
