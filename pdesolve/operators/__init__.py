"""Neural operators, one file each.

Every operator is a torch module with the same call:

    forward(x, condition=None) -> y        x (b, c_in, *grid), condition (b, p), y (b, c_out, *grid)

x and y are real fields on the points of a uniform grid, x axis first. An operator that takes no
condition refuses one. Operators see plain numbers: `pdesolve.layers.Normalized` adds the units,
except for one that has `normalizes_itself`, which takes physical fields.
"""

from .deeponet import DeepONet as DeepONet
from .lsm import LSM as LSM
from .lsm_irregular import LSMIrregular as LSMIrregular
from .mgno import MgNO as MgNO
from .mgtfno import MGTFNO as MGTFNO
from .mionet import MIONet as MIONet
from .multi_task_deeponet import MultiTaskDeepONet as MultiTaskDeepONet
from .pod_deeponet import PODDeepONet as PODDeepONet
from .scot import ScOT as ScOT
from .stfno import STFNO as STFNO
from .tfno import TFNO as TFNO
