"""A set and a model small enough to train in a second; run as a script it trains in a folder."""

import json
import sys

import torch
from torch import nn

from pdesolve.datasets import from_arrays
from pdesolve.grid import Grid


def tiny_set(samples=24, shape=(6, 6), *, dtype=torch.float32, seed=0, condition=False):
    """u = (a - its mean) / 2 on a periodic grid, in memory."""
    random = torch.Generator().manual_seed(seed)
    a = torch.randn(samples, 1, *shape, generator=random, dtype=torch.float64).to(dtype)
    mean = a.mean(tuple(range(1, a.ndim)), keepdim=True)
    given = {"condition": mean.reshape(-1, 1), "condition_names": ["mean"]} if condition else {}
    return from_arrays(a, (a - mean) / 2, grid=Grid(shape, 1.0, True), **given)


class TinyModel(nn.Module):
    """Complex weights as real pairs, a matrix, biases and dropout: one of each kind."""

    complex_pairs = ("spectrum",)

    def __init__(self, width=8, dropout=0.1, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lift = nn.Conv2d(1, width, 1)
            self.mix = nn.Conv2d(width, width, 1)
            self.spectrum = nn.Parameter(torch.randn(3, 2, width, width, 2) / width)
            self.dropout = nn.Dropout(dropout)
            self.project = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        h = torch.nn.functional.gelu(self.lift(x))
        size = h.shape[-2:]
        with torch.autocast(h.device.type, enabled=False):
            spectrum = torch.fft.rfft2(h.to(self.spectrum.dtype), norm="forward")
            weight = torch.view_as_complex(self.spectrum)
            low = torch.einsum("bixy,xyio->boxy", spectrum[:, :, :3, :2], weight)
            filtered = torch.fft.irfft2(low, s=size, norm="forward")
        return self.project(self.dropout(torch.nn.functional.gelu(self.mix(h) + filtered)))


def main(folder, options):
    """Train in the folder."""
    from pdesolve import training

    torch.set_num_threads(1)
    augmentation = training.GridSymmetries() if options.get("augmentation") else None
    model = TinyModel()
    training.fit(
        model,
        tiny_set(),
        tiny_set(8, seed=1),
        folder=folder,
        optimizer=getattr(training, options.get("optimizer", "AdamW"))(),
        augmentation=augmentation,
        settings=training.Settings(**options.get("settings", {})),
        progress=False,
    )


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
