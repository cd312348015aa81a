"""Equations: what is solved, and how truth is made."""

from .darcy import Darcy as Darcy
