"""What each figure is called for a reader, and what it says, in a few words."""

import math

GLOSSARY: dict[str, tuple[str, str]] = {
    "l2": (
        "Relative L2 error",
        "size of the error over size of the truth, averaged over samples; predicting zero gives 1",
    ),
    "l2_std": (
        "Spread of it",
        "standard deviation of the relative L2 error from sample to sample",
    ),
    "l2_worst": ("Largest of it", "relative L2 error of the worst sample"),
    "worst_sample": ("Worst sample", "its number in the data, from 0"),
    "h1": (
        "Relative H1 error",
        "the same with gradients beside values: wrong slopes and noise count",
    ),
    "max": (
        "Largest error",
        "largest error in a sample over the largest value of its truth, averaged over samples",
    ),
    "band_low": (
        "Error in large scales",
        "part of the relative L2 error in the longest third of the waves that the grid resolves",
    ),
    "band_mid": ("Error in middle scales", "part of it in the middle third"),
    "band_high": (
        "Error in small scales",
        "part of it in the shortest third; in each sample the squares of the parts add up",
    ),
    "median_l1": (
        "Median relative L1 error",
        "of each quantity at the last time, middle of the samples; mean over the quantities",
    ),
    "median_l1_normalized": (
        "Median relative L1 error of normalised fields",
        "the same of the fields that the operator works on, which Poseidon's paper reports in %",
    ),
    "residual": (
        "Residual of the equation",
        "how far predictions are from solving the equation on this grid: relative to its source, "
        "or, of refined trajectories, the H^-1 norm of the one-step defects over the step",
    ),
    "residual_of_truth": (
        "Residual of the truth",
        "the same for the stored truth, which a coarse grid does not solve exactly either",
    ),
    "estimated": (
        "Estimated relative L2 error",
        "what the equation says of the error without the truth: its defects carried forward in "
        "time, or solved for; mean over samples",
    ),
    "estimated_ratio": ("Estimate over truth", "median over the samples; 1 is a perfect estimate"),
    "accepted": ("Accepted as predicted", "share of the samples that refinement left as they were"),
    "above_tolerance": ("Above the tolerance", "share of the samples, by the estimated error"),
    "iterations": ("Iterations", "sweeps or steps of tuning, mean over samples"),
    "floor": (
        "Floor of the time steps",
        "error that the equation's own time steps leave, of the worst sample",
    ),
    "samples": ("Samples", "how many were tested"),
    "interpolated_l2": (
        "Relative L2 error of the trivial rival",
        "predict on the training grid, then interpolate",
    ),
    "interpolated_h1": ("Relative H1 error of the trivial rival", "the same with gradients"),
    "interpolated_truth_l2": (
        "Relative L2 error of interpolation",
        "of the truth on the training grid, interpolated: what the rival cannot get below",
    ),
    "interpolated_truth_h1": ("Relative H1 error of interpolation", "the same with gradients"),
    "midpoint": (
        "Residual of the equation",
        "between the nodes, relative to its largest term; the solution was chosen by it",
    ),
    "noise": ("Noise", "standard deviation of the white noise that was found in the source"),
    "boundary": ("Misfit of the boundary data", "largest one, relative to the solution"),
    "candidates": ("Candidates", "priors that were tried"),
    "semigroup": (
        "Defect of composed steps",
        "two calls over half the time each against one call over all of it, relative to the latter",
    ),
    "parameters": ("Parameters", "real numbers that were learned"),
    "seconds": ("Seconds", "time of the run"),
}

# Where figures come from that are of no test set.
_PLACES = {"error": "Against the exact solution", "residual": "Against the problem itself"}

_CALLS = {"rollout": " in rollouts", "one_call": " in one call"}

REFERENCES: dict[str, str] = {
    "training mean": "the mean of the training targets, whatever the input",
    "Chebyshev collocation": "polynomials on as many nodes, denser at the walls",
    "finite differences": "of second order on the same nodes",
    "published GP-HM": "the best logged error of Fang et al. 2024, picked by looking at the truth",
    "persistence": "the last input frame, taken for all later ones",
    "prediction": "what the operator predicted, before the equation was asked",
    "classical solver": "the equation's own solver from the same known state on the same grid",
    "interpolation": "predict on the training grid, then interpolate to this one",
}


def explained(name: str) -> tuple[str, str]:
    """Return the title and the explanation of a figure such as "test/l2".

    >>> explained("test/samples")
    ('Samples', 'how many were tested')
    >>> explained("test/rollout/l2@20")[0]
    'Relative L2 error at time 20'
    """
    quantity, _, time = name.rsplit("/", 1)[-1].partition("@")
    if time:
        title, explanation = explained(quantity)
        return f"{title} at time {time}", explanation
    return GLOSSARY.get(quantity, (quantity.replace("_", " ").capitalize(), ""))


def place(name: str) -> str:
    """Return where a figure such as "test@33/l2" was measured, in words.

    >>> place("test@33/l2")
    'Test set, 33 points per axis'
    >>> place("test/rollout/l2@20")
    'Test set in rollouts'
    >>> place("test/flow_shear/rollout/l2@20")
    'Test set, flow_shear in rollouts'
    >>> place("test/one_call/median_l1")
    'Test set in one call'
    >>> place("error/estimated")
    'Without the exact solution'
    """
    if name == "error/estimated":
        return "Without the exact solution"
    if "/" not in name:
        return "The run"
    split, _, points = name.split("/", 1)[0].partition("@")
    if split in _PLACES:
        return _PLACES[split]
    # Between the set and the figure stand the member of a mixture and what was done.
    parts = name.split("/")[1:-1]
    words = "".join(_CALLS.get(part, f", {part}") for part in parts)
    title = f"{split.replace('_', ' ').capitalize()} set{words}"
    if not points:
        return title
    several = f"{points.replace('x', ' × ')} points"
    return f"{title}, {several}" if "x" in points else f"{title}, {several} per axis"


def figure(value: float) -> str:
    """Return a number to three digits, and a count in full with thin spaces.

    >>> figure(0.067612), figure(50.0), figure(float("nan"))
    ('0.0676', '50', 'not finite')
    """
    if not math.isfinite(value):
        return "not finite"
    if float(value).is_integer():
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}"
