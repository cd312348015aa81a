"""A model as a program that runs without this package: torch.export and ONNX."""

import contextlib
import copy
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..layers import to_matmul
from .config import ArtifactError

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def exported(
    model: nn.Module,
    x: Float[Tensor, "b c_in *grid"],
    condition: Float[Tensor, "b p"] | None = None,
) -> ExportedProgram:
    """Return a model in evaluation mode as one graph, for any batch on the grid of x.

    Args:
        model: to export; it is copied and left as it is.
        x: an example of two samples or more, whose grid becomes the program's.
        condition: an example of the samples' parameters, for models that take some.

    Raises:
        ArtifactError: the model cannot be traced; the message says where.
    """
    given = (x,) if condition is None else (x, condition)
    batch = Dim("batch", min=1)
    # Complex numbers have no place in ONNX, so Fourier layers go by real matrices.
    own = to_matmul(copy.deepcopy(model)).eval()
    try:
        with _quietly():
            return torch.export.export(own, given, dynamic_shapes=tuple({0: batch} for _ in given))
    except Exception as error:
        raise ArtifactError(f"{type(model).__name__} cannot be traced: {error}") from error


def program_bytes(program: ExportedProgram) -> bytes:
    """Return the file that `torch.export.load` opens."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_bytes(program: ExportedProgram) -> bytes:
    """Return the ONNX file of a program, weights included.

    Raises:
        ArtifactError: ONNX packages are missing, or an operation that ONNX does not have.
    """
    _require_onnx()
    try:
        with _quietly():
            converted = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as error:
        raise ArtifactError(
            f"ONNX has no form of this model: {_reason(error)}; export it with formats=[torch]"
        ) from error
    assert converted is not None
    return converted.model_proto.SerializeToString()


def run_onnx(
    file: bytes, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
) -> Float[Tensor, "b c_out *grid"]:
    """Return what onnxruntime computes from an ONNX file on the CPU."""
    _require_onnx()
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = (x,) if condition is None else (x, condition)
    names = [one.name for one in session.get_inputs()]
    feed = {name: value.cpu().numpy() for name, value in zip(names, given, strict=True)}
    return torch.from_numpy(np.asarray(session.run(None, feed)[0]))


def _require_onnx() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ArtifactError(
            f"ONNX needs {', '.join(missing)}, which are not installed: "
            f"`pip install 'pdesolve[onnx]'`, or export with formats=[torch]"
        )


def _reason(error: BaseException) -> str:
    """The innermost cause in one line; the exporter wraps it in advice to its developers."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporters, who report to their developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
