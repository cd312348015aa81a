"""`pdesolve export run=FOLDER`: a trained model as torch.export and ONNX files, checked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import application

FORMATS = {"torch": "model.pt2", "onnx": "model.onnx"}


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("export", export, arguments)


def export(config: Any, folder: Path) -> dict[str, float]:
    """Write `exported/` and compare what each file computes with the model itself.

    Raises:
        ArithmeticError: a file computes something else; it is not written.
    """
    from ..artifacts import export as programs
    from ..artifacts.atomic import write_folder
    from .failures import UsageError

    if unknown := sorted(set(config.formats) - set(FORMATS)):
        raise UsageError(f"formats holds {unknown}, expected some of {list(FORMATS)}")
    model, described, example = _model_and_example(config)
    expected = _called(model, example)
    program = programs.exported(model, *example)
    files, figures = {}, {}
    for name in config.formats:
        if name == "torch":
            files[name], found = programs.program_bytes(program), _called(program.module(), example)
        else:
            files[name] = programs.onnx_bytes(program)
            found = programs.run_onnx(files[name], *example)
        largest = expected.abs().max().clamp(min=1e-30)
        figures[f"{name}/difference"] = ((found - expected).abs().max() / largest).item()
        # NaN is no agreement either.
        if not figures[f"{name}/difference"] <= config.tolerance:
            raise ArithmeticError(
                f"the {name} file differs from the model by {figures[f'{name}/difference']:.1e} "
                f"of its largest value, expected at most {config.tolerance:g}: nothing was written"
            )
    contents = {FORMATS[name]: content for name, content in files.items()}
    contents["interface.json"] = json.dumps(described, indent=1).encode()
    write_folder(folder / "exported", contents)
    for name, content in contents.items():
        print(f"{application.relative(folder / 'exported' / name)}  {len(content):,} bytes")
    return figures


def _model_and_example(config: Any) -> tuple[Any, dict[str, Any], tuple[Any, ...]]:
    """The model, what goes in and comes out, and stored samples to compare on."""
    from .evaluate import run_config, trained_model

    trained = run_config(config.run)
    data = _samples(trained.dataset, config)
    model = trained_model(Path(config.run), trained, data, config.allow).eval()
    batch = data.batch(range(min(config.samples, len(data))))
    described = {
        "grid": data.grid.as_dict(),
        "inputs": [{"name": n, "units": data.units[n]} for n in data.input_names],
        "condition": list(data.condition_names),
        "outputs": [{"name": n, "units": data.units[n]} for n in data.output_names],
        "layout": "x (batch, inputs, *grid), condition (batch, condition), y (batch, outputs, "
        "*grid); physical units, float32, any batch",
    }
    example = (batch.x,) if batch.condition is None else (batch.x, batch.condition)
    return model, described, example


def _samples(dataset: Any, config: Any) -> Any:
    from .mixture import open_mixture
    from .splits import open_split

    if config.stride is not None:
        dataset.stride = config.stride
    if dataset.get("members"):
        return open_mixture(dataset, config.split)
    place = "its path in the run's config.yaml: the files are compared on its samples"
    return open_split(dataset, config.split, dataset.stride, place=place)


def _called(model: Any, example: tuple[Any, ...]) -> Any:
    import torch

    with torch.no_grad():
        return model(*example)
