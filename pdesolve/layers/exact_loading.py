"""Weights of another code, loaded whole or not at all."""

from collections.abc import Mapping

from torch import Tensor, nn


def load_exactly(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights that have to be all of a module's, and no others.

    Raises:
        ValueError: some are missing, too many, or of another shape.
    """
    own = module.state_dict()
    wrong = sorted(
        name
        for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    )
    if wrong:
        raise ValueError(
            f"state_dict does not fit the constructor's arguments at {wrong[:4]} (our names), "
            f"{len(wrong)} weights in all: pass the arguments with which it was trained"
        )
    module.load_state_dict(dict(weights))
