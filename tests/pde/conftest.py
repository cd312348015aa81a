"""Derivatives of formulas, for residuals of exact solutions."""

import pytest
import torch


@pytest.fixture
def derivative_at():
    """Return points -> d(function, orders), by nested forward differentiation at the points."""

    def at(*points):
        def d(function, orders):
            if isinstance(function, float):
                return torch.zeros_like(points[0]) if any(orders) else function
            for axis, order in enumerate(orders):
                for _ in range(order):
                    function = partial(function, axis)
            return function(*points)

        return d

    def partial(function, axis):
        def slope(*x):
            tangents = tuple(torch.full_like(v, float(j == axis)) for j, v in enumerate(x))
            return torch.func.jvp(function, x, tangents)[1]

        return slope

    return at
