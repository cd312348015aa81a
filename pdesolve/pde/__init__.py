"""Equations: what is solved, and how truth is made."""

from .advection import Advection as Advection
from .allen_cahn import AllenCahn as AllenCahn
from .beam import Beam as Beam
from .burgers import Burgers1d as Burgers1d
from .darcy import Darcy as Darcy
from .fisher_kpp import FisherKPP as FisherKPP
from .heat import Heat3d as Heat3d
from .heat_1d import Heat1d as Heat1d
from .helmholtz import Helmholtz2d as Helmholtz2d
from .korteweg_de_vries import KortewegDeVries as KortewegDeVries
from .navier_stokes import NavierStokes2d as NavierStokes2d
from .poisson import Poisson as Poisson
from .sine_gordon import SineGordon as SineGordon
from .wave import Wave1d as Wave1d
