"""Losses: how far a prediction is from its target, one number a sample or their mean.

A loss is any callable `loss(prediction, target, *, grid=None, mask=None) -> scalar`, in physical
units. The losses here also offer `per_sample`, which evaluation reports. All are zero, with a zero
gradient, for a perfect prediction.
"""

from .curriculum import SobolevCurriculum as SobolevCurriculum
from .grouped_l1 import GroupedRelativeL1 as GroupedRelativeL1
from .loss import Loss as Loss
from .mean_square import MeanSquare as MeanSquare
from .relative_l2 import RelativeL2 as RelativeL2
from .sobolev import Sobolev as Sobolev
from .truncated_h1 import TruncatedH1 as TruncatedH1
from .weighted_sum import WeightedSum as WeightedSum
