"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return torch.device(request.param)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data for tests is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    folder = Path(os.environ.get("PDESOLVE_GOLDEN", ROOT.parent / "shared" / "data" / "golden"))
    if not folder.is_dir():
        pytest.skip(f"no golden fixtures at {folder}; set PDESOLVE_GOLDEN to their folder")
    assert any(folder.glob("*.json")), f"the golden folder {folder} holds no fixture"
    return folder
