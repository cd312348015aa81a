"""Gaussian process solvers: kernels with derivatives of any order, on grids by their factors."""

from .boundary import Condition as Condition
from .boundary import cauchy as cauchy
from .boundary import dirichlet as dirichlet
from .boundary import neumann as neumann
from .boundary import robin as robin
from .boundary import slope as slope
from .solve import GPSolution as GPSolution
from .solve import solve as solve
