"""The row of what a model costs on finer and finer grids, with the exponents of the growth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Samples of each call and step, and of the set from which a model may take principal modes.
_BATCH, _SAMPLES = 4, 32


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Return seconds and bytes of a prediction and of a training step by points an axis.

    The fields are noise on the data's own kind of grid: what they hold changes no cost. Each grid
    has a model of its own, as the config would build it there. `exponent/...` is b of cost = a N^b
    over N points in all, by least squares in the logarithms.
    """
    del folder
    import torch
    from omegaconf import OmegaConf

    from ...evaluation import scaling_exponent

    config = OmegaConf.create(dict(task["config"]))
    torch.manual_seed(seed)
    found: dict[str, Any] = {"parameters": None}
    growth: dict[str, dict[int, float]] = {}
    for points in task["grids"]:
        try:
            total, parameters, costs = _on_grid(config, points)
        except (ValueError, RuntimeError) as error:
            # A grid that a model cannot take says so in its place; the others stand.
            found[f"refused@{points}"] = str(error).partition("\n")[0][:300]
            continue
        found[f"parameters@{points}"] = found["parameters"] = parameters
        for name, value in costs.items():
            found[f"{name}@{points}"] = value
            if value:
                growth.setdefault(name, {})[total] = value
    if not growth:
        raise ValueError(found[f"refused@{task['grids'][0]}"])
    several = {name: curve for name, curve in growth.items() if len(curve) > 1}
    exponents = {f"exponent/{name}": -scaling_exponent(curve) for name, curve in several.items()}
    return {"figures": found | exponents, "data": {}}


def _on_grid(config: Any, points: int) -> tuple[int, int, dict[str, float | None]]:
    import torch

    from ...evaluation.cost import call_seconds, peak_bytes
    from ..train import new_model, numbers_of
    from .calls import prediction, training_step

    dataset = _noise(config, points)
    model = new_model(config, dataset).to(torch.device(config.trainer.get("device") or "cpu"))
    device = next(model.parameters()).device
    batch = dataset.batch(list(range(_BATCH))).to(device)
    call, step = prediction(model, batch), training_step(model, batch)
    costs = {
        "prediction_seconds": call_seconds(call, device, repeats=3) / _BATCH,
        "step_seconds": call_seconds(step, device, repeats=3) / _BATCH,
        "step_bytes": peak_bytes(step, device),
    }
    return points**dataset.grid.dims, numbers_of(model), costs


def _noise(config: Any, points: int) -> Any:
    """Return samples of noise with the channels of the config's data on another grid."""
    import torch

    from ...datasets import from_arrays
    from ..sets import open_sets

    train = open_sets(config).train
    grid = train.grid.resized((points,) * train.grid.dims)
    generator = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(_SAMPLES, channels, *grid.shape, generator=generator)
        for channels in (train.in_channels, train.out_channels)
    )
    return from_arrays(x, y, grid=grid)
