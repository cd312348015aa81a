"""Learned pieces that several operators share."""

from .compress import Compression as Compression
from .compress import compress as compress
from .normalized import Normalized as Normalized
from .pointwise import Pointwise as Pointwise
from .pointwise import PointwiseNetwork as PointwiseNetwork
from .spectral import SpectralConv as SpectralConv
from .spectral import to_matmul as to_matmul
from .weight import spectral_weight as spectral_weight
from .window_attention import CosineWindowAttention as CosineWindowAttention
