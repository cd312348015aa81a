"""A picture of a few stored samples: inputs, and outputs at some of their times."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw(path: Path, picture: Path, samples: Sequence[int] | None = None) -> None:
    """Draw samples of a file, or of the first split of a folder, into a PNG file.

    Args:
        path: .h5 file or folder of a set.
        picture: file to write.
        samples: which ones; by default the first three.

    Raises:
        DataError: the file cannot be read, or has fewer samples.
    """
    from ..datasets.errors import SplitError
    from ..datasets.reader import open_dataset
    from ..datasets.windows import AtTimes
    from ..evaluation.pictures import draw_samples

    split: Any = None
    if path.is_dir():
        names = ("train", "valid", "test")
        split = next((n for n in names if (path / "data" / n).is_dir()), "train")
    opened = open_dataset(path, split=split, in_memory=False, allow_partial=True)
    # Beside the input four times can be told apart: the first, the last and two between.
    last = len(opened.times) - 1
    opened = opened.windowed(AtTimes(sorted({last * k // 3 for k in range(4)})))
    if samples is None:
        samples = range(min(3, len(opened)))
    if not all(0 <= sample < len(opened) for sample in samples):
        raise SplitError(f"sample {list(samples)}", file=path, allowed=f"0 to {len(opened) - 1}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_samples(picture, opened.batch(samples), opened)
