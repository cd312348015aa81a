"""The H1 loss of the multigrid neural operator's code, with its cut wavenumbers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from ..ops import fourier, norms
from .loss import Field, Mask, MeanOfSamples


@dataclass(frozen=True)
class TruncatedH1(MeanOfSamples):
    """Relative error of a sample in a weighted norm of its Fourier coefficients.

        ‖u‖² = Σ_k (1 + Σ_j k_j² [|k_j| < cutoff]) |û_k|²,   k_j integers, whatever the box

    From the cutoff on an axis counts as if its derivative were not there. Takes any field as
    periodic, also one that is not. For a Sobolev norm of the box and its walls take `Sobolev(1)`.
    Samples are averaged; the published code adds them up.

    Args:
        cutoff: first wavenumber that does not count.

    Raises:
        ValueError: a mask: transforms reach across the edge of the domain.

    Source: He, Liu and Xu 2024, arXiv 2310.19809, as HsLoss of its code (xlliu2017/MgNO).
    """

    cutoff: int = 20

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Relative error of each sample, shape (b,)."""
        del grid  # wavenumbers are counted, not measured
        if mask is not None:
            raise ValueError(
                f"mask of shape {tuple(mask.shape)} given, expected None: transforms reach across "
                f"the edge of the domain; use RelativeL2 on masked fields"
            )
        error = norms.misfit(prediction, target)
        return norms.ratio(self._norm(error), self._norm(target))

    def _norm(self, u: Tensor) -> Float[Tensor, " b"]:
        shape = u.shape[2:]
        spectrum = torch.fft.rfftn(u, dim=list(range(2, u.ndim)), norm="ortho")
        lengths = (2 * torch.pi,) * len(shape)
        squares = torch.ones((), dtype=u.dtype, device=u.device)
        for k in fourier.wavenumbers(shape, lengths, dtype=u.dtype, device=u.device):
            # Rounded: a wavenumber a last digit below the cutoff is the cutoff.
            squares = squares + k.square() * (k.abs().round() < self.cutoff)
        halves = fourier.half_spectrum_weights(shape[-1], dtype=u.dtype, device=u.device)
        # A scaled vector norm has no infinite gradient where the error vanishes.
        weighted = spectrum * (squares * halves).sqrt()
        return torch.linalg.vector_norm(weighted.flatten(1), dim=1)
