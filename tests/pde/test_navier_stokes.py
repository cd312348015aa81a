"""Plane flow against stored references, exact decay, convergence orders and balances."""

import json

import pytest
import torch
from safetensors.torch import load_file

from pdesolve import Grid
from pdesolve.pde import NavierStokes2d


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


@pytest.mark.golden
def test_stored_trajectories_are_reproduced(golden):
    names = sorted(golden.glob("ns_reference*.json"))
    assert names, f"no fixture of the kind ns_reference in {golden}"
    for name in names:
        about, stored = json.loads(name.read_text()), load_file(name.with_suffix(".safetensors"))
        flow = NavierStokes2d(viscosity=about["viscosity"], times=tuple(about["times"]))
        expected = stored["vorticity_64"]
        grid = Grid(expected.shape[1:], 1.0, True)
        assert torch.allclose(flow.forcing_field(grid), stored["forcing"], rtol=0, atol=1e-14)
        found = flow.solve(initial=expected[:1], grid=grid, courant=0.5).value[0, 0]
        between = about["accuracy"]["relative_L2_between_the_two"]
        for i in range(len(expected)):
            assert relative(found[i], expected[i]) < 1e-8
            assert relative(found[i], stored["vorticity"][i]) < 1e-8 + between[i]
