"""Processes that share the patches of a sample take the steps of one process that has them all."""

import os
import re
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from pdesolve.datasets import from_arrays
from pdesolve.grid import Grid
from pdesolve.operators import MGTFNO, TFNO
from pdesolve.training import Patchwise, Settings, fit, one_step

SAMPLES, VALID, BATCH = 10, 3, 4
OBJECTIVES = {"stitched": one_step, "unstitched": Patchwise(1)}

SCRIPT = """
    import importlib.util, os, torch
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("patched", {here!r})
    patched = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(patched)
    torch.set_num_threads(1)

    def killed(model, batch, loss):
        if os.environ["RANK"] == "1":
            Path({folder!r}, "killed").touch()
            os.kill(os.getpid(), 9)
        return patched.one_step(model, batch, loss)

    patched.OBJECTIVES["killed"] = killed
    for name in {objectives!r}:
        patched.train({folder!r}, name, batch={batch}, patch_processes={patch_processes})
"""


def waves(samples, seed):
    """A smooth field and its square on a periodic grid."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 1, 8, 12, generator=random, dtype=torch.float64)
    return from_arrays(x, x**2 + x, grid=Grid((8, 12), 1.0, True))


def train(folder, name, *, batch=BATCH, patch_processes=1):
    """Train in the folder, and leave weights and log in folder/NAME_RANK.pt."""
    torch.manual_seed(0)
    if name == "whole":
        model = TFNO(1, 1, (4, 4), 6, 2).double()
    else:
        model = MGTFNO(1, 1, (4, 4), 6, 2, 0.3, padding=0.125, patch_chunk=3).double()
    start = [p.detach().clone() for p in model.parameters()]
    result = fit(
        model,
        waves(SAMPLES, 0),
        waves(VALID, 1),
        objective=OBJECTIVES.get(name, one_step),
        # Plain descent: the way that the weights went is a sum of gradients.
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
        settings=Settings(
            epochs=1, batch_size=batch, patch_processes=patch_processes, ema_decay=0.5
        ),
    )
    assert all(getattr(module, "patch_group", None) is None for module in model.modules())
    moved = [p.detach() - s for p, s in zip(model.parameters(), start, strict=True)]
    figures = {k: v for k, v in result.history[-1].items() if k != "seconds"}
    rank = os.environ.get("RANK", "alone")
    torch.save({"moved": moved, "figures": figures}, f"{folder}/{name}_{rank}.pt")


def launch(folder, processes, patch_processes, objectives=tuple(OBJECTIVES)):
    """Train with torchrun; return the exit code and what stderr says."""
    script = folder / "script.py"
    code = textwrap.dedent(SCRIPT).format(
        here=__file__,
        folder=str(folder),
        objectives=objectives,
        batch=BATCH // (processes // patch_processes),
        patch_processes=patch_processes,
    )
    script.write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    ended = subprocess.run(
        [*launcher, "--nproc-per-node", str(processes), str(script)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
    )
    return ended.returncode, ended.stderr


@pytest.mark.distributed
@pytest.mark.parametrize(("processes", "patch_processes"), [(2, 2), (4, 4), (4, 2)])
def test_shared_patches_give_loss_and_gradients_of_one_process(
    tmp_path, processes, patch_processes
):
    code, errors = launch(tmp_path, processes, patch_processes)
    assert code == 0, errors
    for name in OBJECTIVES:
        train(tmp_path, name)
        alone = torch.load(tmp_path / f"{name}_alone.pt", weights_only=True)
        for rank in range(processes):
            shared = torch.load(tmp_path / f"{name}_{rank}.pt", weights_only=True)
            for one, other in zip(shared["moved"], alone["moved"], strict=True):
                assert (one - other).norm() <= 1e-6 * other.norm()
            for key, value in alone["figures"].items():
                assert shared["figures"][key] == pytest.approx(value, rel=1e-6), key


@pytest.mark.distributed
def test_killed_process_ends_the_others_within_a_minute_and_is_named(tmp_path):
    code, errors = launch(tmp_path, 2, 2, objectives=("killed",))
    seconds = time.time() - (tmp_path / "killed").stat().st_mtime
    assert code != 0
    assert seconds < 60
    assert re.search(r"rank +: 1 .*\n +exitcode +: -9 .*SIGKILL", errors), errors


@pytest.mark.distributed
def test_model_with_parameters_outside_of_patches_is_refused(tmp_path):
    code, errors = launch(tmp_path, 2, 2, objectives=("whole",))
    assert code != 0
    assert "patch_processes is 2 for a model that has parameters outside of patches" in errors


def test_without_torchrun_patches_cannot_be_shared(tmp_path):
    with pytest.raises(ValueError, match="patch_processes is 2 with 1 processes"):
        train(tmp_path, "stitched", patch_processes=2)
