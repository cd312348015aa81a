"""What training reads: samples of one problem, of several, or at scattered points."""

from .dataset import Dataset
from .mixture import Mixture
from .point_set import PointSet

Data = Dataset | Mixture | PointSet
