"""Neural operators, one file each.

Every operator is a torch module with the same call:

    forward(x, condition=None) -> y        x (b, c_in, *grid), condition (b, p), y (b, c_out, *grid)

x and y are real fields on the points of a uniform grid, x axis first. An operator that takes no
condition refuses one. Operators see plain numbers: `pdesolve.layers.Normalized` adds the units.
"""

from .tfno import TFNO as TFNO
