"""Kernels of one variable with closed-form derivatives; gpytorch kernels that ExactGP accepts."""

from .adapter import from_gpytorch
from .decaying import Matern, RationalQuadratic, SquaredExponential
from .mixtures import GaussianMixture, StudentTMixture
from .spectral import Comb, Cosine, FrequencyWarning, Periodic, band_limited
from .stationary import Product, Scaled, StationaryKernel, Sum

__all__ = [
    "Comb",
    "Cosine",
    "FrequencyWarning",
    "GaussianMixture",
    "Matern",
    "Periodic",
    "Product",
    "RationalQuadratic",
    "Scaled",
    "SquaredExponential",
    "StationaryKernel",
    "StudentTMixture",
    "Sum",
    "band_limited",
    "from_gpytorch",
]
