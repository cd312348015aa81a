"""Refinement of the last spectral layer as the Spectral-Refiner's public code does it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...ops import norms
from .evolution import Evolution
from .sweep import Swept, judged
from .tune import LastLayer

# Of the public code: half the distance of the time difference, and the shift α of its norm.
_INSTANT = 1e-6
_SHIFT = 10**-1.5


def published_residual(
    model: Evolution, states: Float[Tensor, "b n *grid"]
) -> Float[Tensor, "b n *grid"]:
    """Return u_t - F(u) with the time derivative that the solver itself has at each state.

        u_t = (Φ_δ(h) - Φ_-δ(h)) / 2δ,   δ = 1e-6

    The solver solves u_t = F(u), so this is zero to its own error for any states whatever, also
    such as belong to no trajectory: nothing links one state to the next. It is here for
    comparison; `Evolution.defects` is the honest one.

    Source: the public code of Cao et al. 2024, arXiv 2405.17211, which steps by Euler and
    Crank-Nicolson.
    """
    ahead, behind = (model.advanced(states, sign * _INSTANT) for sign in (1, -1))
    slope = (ahead - behind) / (2 * _INSTANT)
    return slope - model.tendencies(states)


def tune_as_published(
    model: Evolution,
    states: Float[Tensor, "1 n *grid"],
    trial: LastLayer,
    *,
    iterations: int,
    bias_rate: float = 1e-2,
    weight_rate: float = 1e-4,
) -> Swept:
    """Return where Adam ends after so many iterations on the published residual, better or not.

    The loss is Σ (α + |κ|²)^-½ |R̂|², mean over the states: called H^-1, an H^-½ norm, of transforms
    that are not divided by the number of points. The public
    rates of the biases are 0.2 for forced and 0.01 for decaying flow, after 50 and 100 iterations.

    Args:
        model: of the equation, for one sample.
        states: the prediction.
        trial: the operator with its widened last layer.
        iterations: all are made.
        bias_rate, weight_rate: of Adam.
    """
    layer = trial.correction
    groups = [{"params": [layer.bias], "lr": bias_rate},
              {"params": [layer.weight], "lr": weight_rate}]  # fmt: skip
    optimizer = torch.optim.Adam(groups)
    with torch.no_grad():
        start = judged(model, states)
    for _ in range(iterations):
        optimizer.zero_grad()
        residual = published_residual(model, model.kept(trial())).flatten(0, 1)[:, None]
        size = norms.sobolev(residual, -0.5, model.grid.lengths, shift=_SHIFT)
        # Adam's smallest step size sees this factor, though its direction does not.
        (size * math.prod(model.grid.shape)).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        end = judged(model, model.kept(trial()))
    return Swept(start, end, torch.full((1,), iterations, device=end.states.device))
