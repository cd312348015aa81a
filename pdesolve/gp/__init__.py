"""Gaussian process solvers: kernels with derivatives of any order, on grids by their factors."""
