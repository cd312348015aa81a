"""A stored field without its noise: the products of bands, one of each axis, that stand out of it.

f = Σ_ab f_ab, f_ab the part with band a along one axis and band b along the other. A part that is
no larger than white noise would be is left out. In the solution the low frequencies of noise are
amplified most, so what is not in the source must not be in the noise either.
"""

import math
from collections.abc import Sequence
from itertools import pairwise, product

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply
from .axis import Axis
from .expansion import Expansion
from .features import Bands
from .known import Interpolant
from .product_basis import Combination, SideBySide
from .tensor_basis import principal

# Functions below this share of what the noise hides are left out, within bounds.
_HIDDEN, _LEAST, _MOST = 0.1, 1e-11, 1e-2
# How far the functions of a band reach beyond it, in bins of 1/L for each digit that they keep.
_REACH = 0.7
# Standard deviations by which the energy of a part must exceed that of noise.
_CERTAIN = 4.0


class Denoised:
    """A field on the nodes as a function of the bands that stand out of its noise.

    Args:
        field: as it is stored.
        axes: of the grid.
        noise: standard deviation of its values.
    """

    def __init__(self, field: Interpolant, axes: Sequence[Axis], noise: float):
        size = float(field.nodal.norm()) / field.nodal.numel() ** 0.5
        least = min(max(_HIDDEN * noise / max(size, 1e-300), _LEAST), _MOST)
        self._bases, self._factors, self._inverses, groups = [], [], [], []
        for axis, spectrum in zip(axes, field.spectra, strict=True):
            parts = []
            for bands in _apart(spectrum.bands, _REACH * math.log10(1 / least) / axis.length):
                features = axis.features(bands)
                sizes, right = principal(features, axis)
                parts.append(Combination(features, right[sizes > least * sizes[0]].T))
            basis = SideBySide(parts)
            factor = basis(axis.nodes)
            self._bases.append(basis)
            self._factors.append(factor)
            self._inverses.append(torch.linalg.pinv(factor, rtol=least))
            ends = torch.tensor([0, *(p.transform.shape[1] for p in parts)]).cumsum(0).tolist()
            groups.append([slice(a, b) for a, b in pairwise(ends)])
        core = apply(self._inverses, field.nodal)
        self._kept = torch.zeros_like(core)
        for block in product(*groups):
            if self._stands_out(core, block, noise):
                self._kept[block] = 1.0
        self._expansion = Expansion(self._bases, core * self._kept)

    def _stands_out(self, core: Tensor, block: tuple[slice, ...], noise: float) -> bool:
        """Return whether a part has more energy than white noise, whose mean and spread are

        σ² Π ‖G_j‖²   and   √2 σ² Π ‖G_jᵀ G_j‖,   G_j the map from nodes to the part along axis j.
        """
        factors = [f[:, s] for f, s in zip(self._factors, block, strict=True)]
        energy = float(apply(factors, core[block]).square().sum())
        maps = [f @ inv[s] for f, inv, s in zip(factors, self._inverses, block, strict=True)]
        mean = math.prod(float(g.square().sum()) for g in maps)
        spread = math.sqrt(2) * math.prod(float((g.T @ g).norm()) for g in maps)
        return energy > noise**2 * (mean + _CERTAIN * spread)

    def at(self, orders: tuple[int, ...], points: Sequence[Tensor]) -> Tensor:
        """Return a derivative on the tensor product of the points."""
        return self._expansion(points, orders)

    def filtered(self, field: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return what of another field on the nodes lies in the parts that are kept."""
        return apply(self._factors, apply(self._inverses, field) * self._kept)


def _apart(bands: Bands, reach: float) -> list[Bands]:
    """Return bands in groups whose functions can be told apart.

    >>> _apart(((0.0, 1.0), (2.0, 3.0), (9.0, 9.5)), 1.0)
    [((0.0, 1.0), (2.0, 3.0)), ((9.0, 9.5),)]
    """
    groups: list[list[tuple[float, float]]] = []
    for band in bands:
        if groups and band[0] - groups[-1][-1][1] < 2 * reach:
            groups[-1].append(band)
        else:
            groups.append([band])
    return [tuple(group) for group in groups]
