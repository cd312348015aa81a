"""The operator of a saved model as the start of another one, for other channels too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import nn

from .config import ArtifactError
from .folder import load


@runtime_checkable
class Adaptable(Protocol):
    """An operator that can be built again for other channels, keeping what it learned."""

    def adapted(self, in_channels: int, out_channels: int, **options: Any) -> nn.Module: ...


def pretrained(
    source: Path | str,
    *,
    in_channels: int,
    out_channels: int,
    inputs: Sequence[int | None] | None = None,
    outputs: Sequence[int | None] | None = None,
    **constructor: Any,
) -> nn.Module:
    """Return the operator inside a saved model, adapted to the channels of new data.

    The statistics of the old data stay behind: wrap it in `Normalized` with those of the new.

    Args:
        source: folder that `save` wrote.
        in_channels, out_channels: of the new data.
        inputs, outputs, constructor: see the operator's `adapted`, such as `ScOT.adapted`.

    Raises:
        ArtifactError: the folder cannot be opened, or the channels differ and the operator cannot
            be adapted.
    """
    model = load(source)
    operator = getattr(model, "operator", model)
    if isinstance(operator, Adaptable):
        options = {"inputs": inputs, "outputs": outputs, **constructor}
        return operator.adapted(in_channels, out_channels, **options)
    own = getattr(operator, "in_channels", None), getattr(operator, "out_channels", None)
    if own != (in_channels, out_channels) or inputs or outputs or constructor:
        raise ArtifactError(
            f"{type(operator).__name__} in {source} has {own} channels, expected "
            f"{(in_channels, out_channels)} and no further change, since it cannot be adapted: "
            f"choose data with its channels, or a ScOT"
        )
    return operator
