"""The figures of a model on one test set, and those of its references."""

from collections.abc import Mapping
from typing import Any

from .sets import Sets, equation_of, residual_of


def sample_errors(model: Any, test: Any, name: str, device: Any, *, estimate: bool) -> Any:
    """Return the errors of each sample by name, with what the equation says of them.

    Args:
        model: predicts physical fields.
        test: the set.
        name: of the set, such as test@33.
        device: where the model is.
        estimate: ask the equation for the error of each prediction, where it can be asked.

    Raises:
        ArithmeticError: a prediction is not finite.
    """
    from .. import evaluation
    from .refinable import estimator_of

    values = evaluation.per_sample(
        model,
        test,
        residual=residual_of(test),
        estimate=estimator_of(test) if estimate else None,
        device=device,
    )
    _refuse_wild(values["l2"], name)
    return values


def model_device(model: Any) -> Any:
    """Return where a model is; None for one without parameters."""
    return next((parameter.device for parameter in model.parameters()), None)


def compared(model: Any, sets: Sets, label: str, device: Any) -> dict[str, dict[str, float]]:
    """Return the l2 and h1 of the references on one test set, by the name of the reference.

    The training mean is a field at the training resolution; elsewhere the reference is the rival.
    """
    from .. import evaluation

    if not label:
        mean = evaluation.training_mean(sets.train)
        figures = evaluation.evaluate(mean, sets.test[""], device=device)
        return {"training mean": {name: figures[name] for name in ("l2", "h1") if name in figures}}
    # A boundary value that the equation tells is no secret from the rival.
    wall = getattr(equation_of(sets.train), "boundary_value", None)
    coarse, fine = sets.test[""], sets.test[label]
    figures = evaluation.across_resolutions(model, coarse, fine, wall_value=wall, device=device)
    known = [name for name in ("l2", "h1") if f"interpolated_{name}" in figures]
    return {"interpolation": {name: figures[f"interpolated_{name}"] for name in known}}


def named(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures with the name of their test set in front."""
    return {f"{prefix}/{name}": value for name, value in figures.items()}


def _refuse_wild(l2: Any, name: str) -> None:
    """Raise ArithmeticError where predictions are not finite: no figure can be told of them."""
    wild = int((~l2.isfinite()).sum())
    if wild:
        raise ArithmeticError(
            f"{wild} of {len(l2)} predictions on {name} are not finite: train again with a smaller "
            "optimizer.lr, or with trainer.clip_norm=1"
        )
