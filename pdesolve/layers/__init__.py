"""Learned pieces that several operators share."""

from .normalized import Normalized as Normalized
from .spectral import SpectralConv as SpectralConv
