"""Frequencies that no given data contain: real roots of the symbol, given one that they do.

A wave that enters with frequency s along one axis has along another axis those frequencies at which
the symbol of the equation vanishes.
"""

import math
from collections.abc import Sequence

import numpy as np

from .jet import Orders


def dispersion_lines(
    symbol: dict[Orders, float], lines: Sequence[Sequence[float]], axis: int
) -> list[float]:
    """Return frequencies along `axis` for the lines of the other axes, of which there is one.

    Args:
        symbol: mean coefficients {derivative orders: coefficient} of two axes.
        lines: frequencies of each axis, cycles per length.
        axis: whose frequencies are wanted.
    """
    other = 1 - axis
    degree = max(orders[axis] for orders in symbol)
    found: list[float] = []
    for line in {0.0, *lines[other], *(-s for s in lines[other])}:
        coefficients = np.zeros(degree + 1, complex)
        for orders, c in symbol.items():
            turned = (2j * math.pi * line) ** orders[other] * (2j * math.pi) ** orders[axis]
            coefficients[orders[axis]] += c * turned
        if not np.any(coefficients[1:]):
            continue
        roots = np.roots(coefficients[::-1])
        found += [abs(r.real) for r in roots if abs(r.imag) <= 1e-6 * abs(r.real)]
    return sorted(set(found))
