"""Predictions judged and corrected by the equation itself, without labels."""

from .refine import refine as refine
from .tune import Tuning as Tuning
