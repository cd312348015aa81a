"""The figures of a model on the test sets of its data, without pictures."""

from typing import Any

from ..figures import compared, model_device, named, sample_errors
from ..rollouts import trajectories
from ..sets import Sets

# Share of the test samples that the conformal ball is to hold.
COVERAGE = 0.9


def test_figures(model: Any, sets: Sets) -> dict[str, Any]:
    """Return `test/...` of the training grid, `test@33/...` of others, rollouts, floors, the ball.

    The names are those of `pdesolve train`. A grid that the model cannot take leaves its reason
    under `test@33/refused` instead of figures.
    """
    from ... import evaluation

    device = model_device(model)
    figures: dict[str, Any] = {}
    for label, test in sets.test.items():
        prefix = f"test{label}"
        try:
            values = sample_errors(model, test, prefix, device, estimate=not label)
        except (ValueError, RuntimeError) as error:
            if not label:
                raise
            figures[f"{prefix}/refused"] = str(error).partition("\n")[0][:300]
            continue
        figures |= named(prefix, evaluation.summarize(values))
        if label:
            rival = compared(model, sets, label, device)["interpolation"]
            figures |= named(f"reference/interpolation/{prefix}", rival)
        for member, part in trajectories(test).items():
            errors = evaluation.rollout_errors(model, part, device=device)
            figures |= named(f"{prefix}{member}/rollout", errors.figures())
    if sets.valid is not None:
        figures |= ball_figures(model, sets.valid, sets.test[""], device)
    return figures


def ball_figures(model: Any, valid: Any, test: Any, device: Any) -> dict[str, Any]:
    """Return the radius of the conformal ball and the share of the test set that it holds.

    Items of one stored sample, such as the frames of a trajectory, are not exchangeable with
    others; the stored samples are. So a sample's score is that of its worst item, and the ball
    of a trajectory holds all of its frames at once.
    """
    from ...evaluation.conformal import ball_scores, radius

    calibration, new = (
        ball_scores(model, part, device=device).reshape(part.trajectories, -1).amax(1)
        for part in (valid, test)
    )
    bound = radius(calibration, coverage=COVERAGE)
    inside = float((new <= bound).double().mean())
    return {"conformal/radius": bound, "conformal/coverage": inside}
