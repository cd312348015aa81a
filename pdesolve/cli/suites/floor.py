"""The row of a predictor that costs no thought, on the same data as the models above it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..sets import Sets, open_sets


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Return the figures of the training mean or of persistence on the training grid."""
    del seed, folder
    from omegaconf import OmegaConf

    from ... import evaluation
    from .measured import test_figures

    sets = open_sets(OmegaConf.create(dict(task["config"])))
    # Neither knows what to say on another grid that a model would learn from.
    here = Sets(sets.train, sets.valid, {"": sets.test[""]})
    make = {
        "training_mean": lambda: evaluation.training_mean(sets.train),
        "persistence": lambda: evaluation.Persistence(sets.train.out_channels),
    }[task["predictor"]]
    found = {"parameters": 0} | test_figures(make(), here)
    return {
        "figures": found,
        "data": {"train": sets.train.data_hash, "test": sets.test[""].data_hash},
    }
