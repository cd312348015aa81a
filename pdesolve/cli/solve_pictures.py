"""Pictures of a solve: the field beside the truth, the spectrum that was found, the candidates."""

from collections.abc import Callable
from typing import Any

import torch


def pictures(solution: Any, exact: Callable[..., Any] | None, source: Any) -> list[Any]:
    """Return the pictures of a report."""
    from ..evaluation import canvas
    from ..evaluation.pictures import Picture
    from ..evaluation.solver import candidates_figure, spectra_figure

    found = [
        Picture(
            "field",
            "The solution on its nodes; the truth where there is a formula for it.",
            canvas.png(_field(solution, exact, source)),
            wide=True,
        ),
        Picture(
            "candidates",
            "Residual and boundary misfit of every prior that was tried; the filled one was taken.",
            canvas.png(candidates_figure(solution.candidates)),
        ),
    ]
    if solution.bands:
        spectra = [_spectrum(solution, axis) for axis in range(solution.grid.dims)]
        caption = (
            "Windowed periodogram of the solution along each axis, and the bands of the prior. "
            "Nyquist's frequency is dashed."
        )
        figure = spectra_figure(spectra, solution.bands)
        found.append(Picture("spectrum", caption, canvas.png(figure)))
    return found


def _field(solution: Any, exact: Callable[..., Any] | None, source: Any) -> Any:
    from ..evaluation.fields import Names
    from ..evaluation.panels import prediction_panel

    value = solution.value.cpu()
    mesh = list(solution.grid.coordinates())
    truth = value if exact is None else exact(*mesh).expand(solution.grid.shape)[None]
    given = torch.zeros_like(value)
    if callable(source):
        field: Any = source(*mesh)
        given = field.expand(solution.grid.shape)[None]
    elif isinstance(source, torch.Tensor | float | int):
        given = torch.as_tensor(source).expand(solution.grid.shape)[None]
    names = Names(("source",), ("solution",), {})
    return prediction_panel(given, truth, value, grid=solution.grid, names=names)


def _spectrum(solution: Any, axis: int) -> tuple[Any, Any, float]:
    from ..gp.spectrum import periodogram

    values = solution.value[0].cpu().movedim(axis, 0).flatten(1) if solution.grid.dims > 1 else (
        solution.value[0].cpu()[:, None]
    )  # fmt: skip
    step = solution.grid.spacing[axis]
    frequencies, amplitude = periodogram(values, step)
    return frequencies, amplitude, 0.5 / step
