"""Equations: what is solved, and how truth is made."""

from .advection import Advection as Advection
from .allen_cahn import AllenCahn as AllenCahn
from .burgers import Burgers1d as Burgers1d
from .darcy import Darcy as Darcy
from .fisher_kpp import FisherKPP as FisherKPP
from .heat import Heat3d as Heat3d
from .helmholtz import Helmholtz2d as Helmholtz2d
from .navier_stokes import NavierStokes2d as NavierStokes2d
from .poisson import Poisson as Poisson
