"""Training on patches, each judged by itself."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..grid import Grid
from ..ops import patches
from .objective import Loss, predict


@dataclass(frozen=True)
class Patchwise:
    """The mean loss over the patches of prediction and target: training without stitching.

        y cut into 2^levels patches an axis;   mean over patches of loss(ŷ_i, y_i)

    A relative loss then divides by the size of y on the patch, so that quiet patches count as much
    as lively ones, and differences do not reach from one patch into the next. `one_step` judges
    the stitched field, which is what a user gets; good for most.

    Args:
        levels: those of the MG-TFNO, or any other: the patches of the loss are its own.

    Source: Kossaifi et al. 2024, arXiv 2310.00120 (stitching = False in its code, which takes
    patches for periodic in its H1 loss; here they are not).
    """

    levels: int = 1

    def __post_init__(self):
        if self.levels < 1:
            raise ValueError(
                f"levels is {self.levels}, expected >= 1: for the loss of the whole field take the "
                f"objective one_step"
            )

    def __call__(self, model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
        """Return the mean loss over patches and samples."""
        prediction = patches.cut(predict(model, batch), self.levels)
        target = patches.cut(batch.y, self.levels)
        mask = None if batch.mask is None else patches.cut(batch.mask, self.levels)
        grid = _patch_grid(batch.uniform_grid, self.levels)
        return loss(prediction, target, grid=grid, mask=mask)


def _patch_grid(grid: Grid, levels: int) -> Grid:
    """Grid of a patch: as many points of the same spacing as it has, and no other side."""
    shape = [points // 2**levels for points in grid.shape]
    if grid.placement == "cell":
        lengths = [n * h for n, h in zip(shape, grid.spacing, strict=True)]
        return Grid(shape, lengths, False, "cell")
    # Nodes of an axis that is not periodic store both ends.
    lengths = [max(n - 1, 1) * h for n, h in zip(shape, grid.spacing, strict=True)]
    return Grid(shape, lengths, False)
