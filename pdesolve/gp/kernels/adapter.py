"""Stock gpytorch kernels as kernels that know their derivatives.

Automatic differentiation through gpytorch's own forward gives 0 for even derivatives at coincident
points (RBF, Matern, RQ, Periodic), in silence. Here the parameters are read and the closed forms
taken; a kernel without one is refused.
"""

import gpytorch
import torch
from gpytorch.kernels import Kernel

from .decaying import Matern, RationalQuadratic, SquaredExponential
from .mixtures import GaussianMixture
from .spectral import Cosine, Periodic
from .stationary import Product, Scaled, StationaryKernel, Sum


def from_gpytorch(kernel: Kernel) -> StationaryKernel:
    """Return the kernel with derivatives that equals a stock one of one variable.

    Parameter values are copied: learn first, or learn the returned kernel. Known are RBF, Matern,
    RQ, Periodic, Cosine, SpectralMixture, Scale, sums and products of these, and this package's own
    kernels, which are returned as they are.

    Raises:
        ValueError: a kernel is unknown, has several length scales, or is a batch.
    """
    if isinstance(kernel, StationaryKernel):
        return kernel
    if len(kernel.batch_shape) or (kernel.ard_num_dims or 1) > 1:
        raise ValueError(
            f"{type(kernel).__name__} has batch shape {tuple(kernel.batch_shape)} and ard_num_dims "
            f"{kernel.ard_num_dims}, expected one kernel of one variable: make one for each axis"
        )
    convert = _KNOWN.get(type(kernel))
    if convert is None:
        raise ValueError(
            f"{type(kernel).__name__} has no closed-form derivatives here, expected one of "
            f"{sorted(known.__name__ for known in _KNOWN)}: write a StationaryKernel with `derivs`"
        )
    with torch.no_grad():
        return convert(kernel)


def _number(value) -> float:
    return float(value.reshape(()))


def _spectral_mixture(kernel) -> GaussianMixture:
    # Its scales are standard deviations in frequency.
    scales = kernel.mixture_scales.flatten()
    return GaussianMixture(
        kernel.mixture_means.flatten(), kernel.mixture_weights, 1 / (2 * torch.pi * scales)
    )


# Exact types: a subclass may compute something else. gpytorch's cosine has half the frequency that
# its period length suggests, and its periodic kernel a length scale that is not squared.
_KNOWN = {
    gpytorch.kernels.RBFKernel: lambda k: SquaredExponential(_number(k.lengthscale)),
    gpytorch.kernels.MaternKernel: lambda k: Matern(k.nu, _number(k.lengthscale)),
    gpytorch.kernels.RQKernel: lambda k: RationalQuadratic(
        _number(k.lengthscale), _number(k.alpha)
    ),
    gpytorch.kernels.PeriodicKernel: lambda k: Periodic(
        _number(k.period_length), _number(k.lengthscale) ** 0.5
    ),
    gpytorch.kernels.CosineKernel: lambda k: Cosine(0.5 / _number(k.period_length)),
    gpytorch.kernels.SpectralMixtureKernel: _spectral_mixture,
    gpytorch.kernels.ScaleKernel: lambda k: Scaled(
        from_gpytorch(k.base_kernel), _number(k.outputscale)
    ),
    gpytorch.kernels.AdditiveKernel: lambda k: Sum(*map(from_gpytorch, k.kernels)),
    gpytorch.kernels.ProductKernel: lambda k: Product(*map(from_gpytorch, k.kernels)),
}
