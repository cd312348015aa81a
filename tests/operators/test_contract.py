"""What every operator promises, run on each row of `cases.py`."""

import importlib.util
import warnings
from pathlib import Path

import pytest
import torch

import pdesolve
from pdesolve.layers import SpectralConv

# Tests are no package: the table beside this file is loaded by its path.
_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)

every_operator = pytest.mark.parametrize("case", _cases.CASES, ids=lambda case: case.name)
every_grid = pytest.mark.parametrize(
    ("case", "shape"),
    [pytest.param(c, s, id=f"{c.name} {s}") for c in _cases.CASES for s in c.shapes],
)


def built(case, device="cpu", dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return case.build().to(device, dtype)


def inputs(case, shape, device="cpu", dtype=torch.float32, samples=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, case.in_channels, *shape, generator=generator).to(device, dtype)
    if not case.condition_dim:
        return (x,)
    return x, torch.rand(samples, case.condition_dim, generator=generator).to(device, dtype)


@every_grid
def test_output_has_the_channels_asked_for_on_every_grid(case, shape, device):
    y = built(case, device)(*inputs(case, shape, device))
    assert y.shape == (2, case.out_channels, *shape)
    assert y.isfinite().all()


@every_grid
def test_float64_works_and_agrees_with_float32(case, shape, device):
    wide = built(case, device, torch.float64)(*inputs(case, shape, device, torch.float64))
    assert wide.dtype == torch.float64
    narrow = built(case, device)(*inputs(case, shape, device))
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-4, atol=1e-5)


@every_operator
def test_the_gradient_reaches_every_parameter_and_the_input(case, device):
    model = built(case, device)
    x, *condition = inputs(case, case.shapes[0], device)
    x.requires_grad_()
    model(x, *condition).square().sum().backward()
    unreached = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0
    ]
    assert unreached == []
    assert x.grad is not None and x.grad.abs().max() > 0


@every_operator
def test_samples_of_a_batch_do_not_influence_each_other(case, device):
    model = built(case, device, torch.float64).eval()
    arguments = inputs(case, case.shapes[0], device, torch.float64, samples=3)
    together = model(*arguments)
    for i in range(3):
        alone = model(*(a[i : i + 1] for a in arguments))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-12)


@every_operator
def test_the_seed_determines_the_operator_and_its_output(case, device):
    arguments = inputs(case, case.shapes[0], device)
    assert torch.equal(built(case, device)(*arguments), built(case, device)(*arguments))
    assert not torch.equal(built(case, device)(*arguments), built(case, device, seed=1)(*arguments))


@every_operator
def test_state_dict_holds_tensors_and_composes(case, device):
    model, other = built(case, device), built(case, device, seed=1)
    state = model.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert not any(value.is_complex() for value in state.values())
    wrapped = torch.nn.Sequential(other)
    wrapped.load_state_dict({f"0.{name}": value for name, value in state.items()})
    arguments = inputs(case, case.shapes[0], device)
    assert torch.equal(model(*arguments), other(*arguments))


@every_operator
def test_a_saved_operator_is_rebuilt_from_its_folder(case, device, tmp_path):
    model = built(case, device).eval()
    pdesolve.save(model, tmp_path / "model")
    loaded = pdesolve.load(tmp_path / "model", device=device)
    arguments = inputs(case, case.shapes[-1], device)
    assert type(loaded) is type(model)
    assert torch.equal(model(*arguments), loaded(*arguments))


@every_operator
def test_a_condition_is_used_or_refused(case):
    model = built(case)
    x, *condition = inputs(case, case.shapes[0])
    if condition:
        assert not torch.equal(model(x, condition[0]), model(x, condition[0] + 1))
    else:
        with pytest.raises(ValueError, match="condition of shape"):
            model(x, torch.ones(2, 1))


@every_operator
def test_another_number_of_axes_or_channels_is_refused(case):
    model = built(case)
    x, *condition = inputs(case, case.shapes[0])
    with pytest.raises(ValueError, match="x has shape"):
        model(x[..., None], *condition)
    with pytest.raises(ValueError, match="x has shape"):
        model(torch.cat([x, x], 1), *condition)


@every_operator
def test_bfloat16_autocast_keeps_the_spectral_block_in_float32(case, device):
    model = built(case, device)
    outputs = []
    for layer in model.modules():
        if isinstance(layer, SpectralConv):
            layer.register_forward_hook(lambda module, given, y: outputs.append(y.dtype))
    arguments = inputs(case, case.shapes[0], device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        y = model(*arguments)
    y.float().sum().backward()
    assert set(outputs) <= {torch.float32}
    torch.testing.assert_close(y.float(), model(*arguments), rtol=0.1, atol=0.1)


# Tracing says whether a model is one graph; the code that Inductor makes of it takes minutes more.
every_backend = pytest.mark.parametrize(
    "backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
)


@pytest.mark.compile
@every_backend
@every_operator
def test_compiles_into_one_graph(case, backend, device):
    model = built(case, device)
    arguments = inputs(case, case.shapes[0], device)
    with warnings.catch_warnings():
        # Inductor warns that it hands complex operations to torch's own kernels.
        warnings.simplefilter("ignore")
        compiled = torch.compile(model, backend=backend, fullgraph=True, dynamic=False)
        y = compiled(*arguments)
        y.square().sum().backward()
    torch.testing.assert_close(y, model(*arguments), rtol=1e-4, atol=1e-5)
