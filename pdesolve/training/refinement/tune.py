"""Refinement by gradient descent on the equation's defects: of a field, or of a spectral layer."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...layers.correction import SpectralCorrection, corrected, last_spectral, window
from ...ops import norms
from .evolution import Evolution
from .sweep import Iterate, Swept, judged

# Evaluations that the line search of one iteration may take.
_EVALUATIONS = 25
_HISTORY = 20
# Relative difference of a prediction made in float32 and in float64.
_SAME = 1e-3


@dataclass(frozen=True)
class Tuning:
    """What is tuned, and against which loss.

        "field"        the trajectory itself
        "layer"        a full-band spectral layer over space and time behind the operator
        "last_layer"   the operator's last spectral layer, widened to the full band; nothing
                       changes before the first step

    Args:
        parameters: one of the table.
        time_modes: non-negative time frequencies of a layer; None is all. Few of them regularise,
            and cannot follow the jump after the last known state.
        integrated: minimise the defects as carried forward by the linear part, else as they are.
            The latter is badly conditioned: the longer the trajectory, the more so.
        order: s of the H^s norm of the loss; 0 is best.
        difference: order of accuracy, 4 or 6, of time differences that take the place of the
            equation's stepper in the loss. For data in steps so fine that they resolve time.

    Source: Cao et al. 2024, arXiv 2405.17211, tunes the last layer against the residual in H^-1.
    """

    parameters: Literal["field", "layer", "last_layer"] = "field"
    time_modes: int | None = None
    integrated: bool = True
    order: float = 0.0
    difference: Literal[4, 6] | None = None

    def __post_init__(self):
        if self.parameters not in ("field", "layer", "last_layer"):
            raise ValueError(
                f"parameters is {self.parameters!r}, expected 'field', 'layer' or 'last_layer'"
            )
        if self.time_modes is not None and self.time_modes < 1:
            raise ValueError(f"time_modes is {self.time_modes}, expected 1 or more, or None")


@runtime_checkable
class Trial(Protocol):
    """A trajectory (1, n, *grid) that depends on parameters."""

    def __call__(self) -> Tensor: ...
    def parameters(self) -> list[nn.Parameter]: ...


class FreeField:
    """The trajectory itself."""

    def __init__(self, states: Float[Tensor, "1 n *grid"]):
        self._states, self._change = states, nn.Parameter(torch.zeros_like(states))

    def __call__(self) -> Tensor:
        return self._states + self._change

    def parameters(self) -> list[nn.Parameter]:
        return [self._change]


class LayerBehind:
    """A trajectory and what a spectral correction makes of it and the known state before it."""

    def __init__(self, anchor: Tensor, states: Tensor, time_modes: int | None):
        self._states, self._window = states, window(anchor[:, None], states[:, None])
        shape = self._window.shape[2:]
        self.correction = SpectralCorrection(1, 1, shape, time_modes=time_modes).to(states)

    def __call__(self) -> Tensor:
        change = self.correction(self._window)[:, 0]
        return self._states + change[:, -self._states.shape[1] :]

    def parameters(self) -> list[nn.Parameter]:
        return list(self.correction.parameters())


class LastLayer:
    """An operator whose last spectral layer is widened, called on the inputs of one sample.

    Args:
        call: () -> trajectory (1, n, *grid), which runs `layer`.
        layer: the operator's last spectral layer.
        time_modes: see `Tuning`.
    """

    def __init__(self, call: Callable[[], Tensor], layer: nn.Module, time_modes: int | None):
        self._call, self._layer = call, layer
        seen: list[Tensor] = []

        def note(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            del module
            seen.extend((inputs[0], output))

        handle = layer.register_forward_hook(note)
        with torch.no_grad():
            call()
        handle.remove()
        x, y = seen[:2]
        self.correction = SpectralCorrection(
            x.shape[1], y.shape[1], x.shape[2:], y.shape[2:], time_modes=time_modes
        ).to(y)

    def __call__(self) -> Tensor:
        with corrected(self._layer, self.correction):
            return self._call()

    def parameters(self) -> list[nn.Parameter]:
        return list(self.correction.parameters())


def frozen_operator(
    error_model: object, tuning: Tuning, model: nn.Module | None, inputs: Tensor | None
) -> nn.Module | None:
    """Return a copy of the operator in float64 without gradients, if its last layer is tuned."""
    if not isinstance(error_model, Evolution):
        raise ValueError(
            'method is "tune" for a steady equation, expected "sweep" or "estimate": one sweep '
            "solves for the whole error there"
        )
    if tuning.parameters != "last_layer":
        return None
    if model is None or inputs is None:
        raise ValueError(
            'parameters is "last_layer" without model and inputs, expected both: pass '
            "refine(..., model=operator, inputs=x)"
        )
    return copy.deepcopy(model).double().eval().requires_grad_(False)


def trial_of(
    error_model: Evolution,
    states: Tensor,
    tuning: Tuning,
    frozen: nn.Module | None,
    x: Tensor | None,
) -> Trial:
    """Return what is tuned of one sample."""
    if frozen is not None and x is not None:
        return _last_layer(frozen, x.to(states.dtype), states.shape, tuning)
    if tuning.parameters == "layer":
        return LayerBehind(error_model.anchor, states, tuning.time_modes)
    return FreeField(states)


def check_starts_at(trial: Trial, states: Float[Tensor, "1 n *grid"]) -> None:
    """Refuse a trial that does not begin at the prediction.

    Raises:
        ValueError: the operator makes something else of its inputs.
    """
    with torch.no_grad():
        away = float((trial() - states).norm() / states.norm())
    # Predictions are float32, tuning float64.
    if not away < _SAME:
        raise ValueError(
            f"model makes of inputs what is {away:.1e} away from prediction, expected the same: "
            "pass the inputs that the prediction was made of, sample by sample"
        )


def _last_layer(model: nn.Module, x: Tensor, shape: torch.Size, tuning: Tuning) -> LastLayer:
    with torch.no_grad():
        made = model(x)
    if made.numel() != shape.numel():
        raise ValueError(
            f"model makes {tuple(made.shape)} of inputs {tuple(x.shape)} for a prediction of "
            f"{tuple(shape)}, expected as many values: tune on the grid and for the steps of the "
            'operator, or use parameters="layer"'
        )
    if hasattr(model, "latent") and hasattr(model, "output"):
        with torch.no_grad():
            latent = model.latent(x)  # pyright: ignore
        return LastLayer(
            lambda: model.output(latent, x, shape[1]).reshape(shape),  # pyright: ignore
            last_spectral(model), tuning.time_modes,
        )  # fmt: skip
    return LastLayer(lambda: model(x).reshape(shape), last_spectral(model), tuning.time_modes)


def tune(
    model: Evolution,
    states: Float[Tensor, "1 n *grid"],
    trial: Trial,
    *,
    tuning: Tuning,
    iterations: int,
    tolerance: float | None,
    known: Float[Tensor, "1 t *grid"],
) -> Swept:
    """Return the best iterate of a descent by L-BFGS with a strong Wolfe line search.

    Each iterate is judged by the estimated error, whatever the loss is: the best one is kept.

    Args:
        model: of the equation, for one sample.
        states: the prediction, which is kept if nothing is better.
        trial: the trajectory and its parameters, which begin at the prediction.
        tuning: the loss.
        iterations: at most so many.
        tolerance: of the estimate, at which the descent stops.
        known: states before the trajectory, the last being the anchor.
    """
    parameters = trial.parameters()
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=1, max_eval=_EVALUATIONS, history_size=_HISTORY,
        tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
    )  # fmt: skip
    loss = loss_of(model, tuning, known)
    with torch.no_grad():
        start = best = judged(model, states)
        unit = loss(model.kept(trial())).clamp_min(torch.finfo(start.states.dtype).tiny)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(model.kept(trial())) / unit
        value.backward()
        return value

    done = 0
    while done < iterations and not _reached(best, tolerance):
        optimizer.step(closure)
        done += 1
        with torch.no_grad():
            new = judged(model, model.kept(trial()))
        if not bool(new.estimate.isfinite().all()):
            break
        best = new if bool(new.error < best.error) else best
    return Swept(start, best, torch.full((1,), done, device=start.states.device))


def loss_of(
    model: Evolution, tuning: Tuning, known: Float[Tensor, "b t *grid"]
) -> Callable[[Tensor], Tensor]:
    """Return the mean square, in H^s, of the defects of states (b, n, *grid) or their integral."""
    periodic = all(model.grid.periodic)
    if not periodic and (tuning.order or tuning.integrated):
        raise ValueError(
            f"grid has walls and tuning is {tuning}, expected integrated=False and order=0 there: "
            'method="sweep" with coarse=1 refines between walls'
        )

    def loss(states: Tensor) -> Tensor:
        if tuning.difference is None:
            defects = model.defects(states)
        else:
            defects = model.differences(states, known, order=tuning.difference)
        if tuning.integrated:
            defects = model.integrated(defects)
        if not tuning.order:
            return defects.square().mean()
        flat = defects.flatten(0, 1)[:, None]
        homogeneous = tuning.order < 0
        size = norms.sobolev(flat, tuning.order, model.grid.lengths, homogeneous=homogeneous)
        return size.square().mean()

    return loss


def _reached(best: Iterate, tolerance: float | None) -> bool:
    return tolerance is not None and bool((best.estimate <= tolerance).all())
