"""Several processes under torchrun take the same steps as one process with the joined batch."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from pdesolve.training import Settings, fit
from pdesolve.training.checkpoint import Checkpoints

TINY = Path(__file__).with_name("tiny.py")
SAMPLES, VALID, BATCH = 22, 7, 6

SCRIPT = """
    import importlib.util, os, sys, torch
    from pathlib import Path
    from pdesolve.training import Settings, fit, one_step

    spec = importlib.util.spec_from_file_location("tiny", {tiny!r})
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    torch.set_num_threads(1)
    calls = []

    def objective(model, batch, loss):
        {during}
        return one_step(model, batch, loss)

    model = tiny.TinyModel(dropout=0.0).double()
    result = fit(
        model,
        tiny.tiny_set({samples}, dtype=torch.float64),
        tiny.tiny_set({valid}, dtype=torch.float64, seed=1),
        folder={folder!r},
        objective=objective,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        settings=Settings(epochs={epochs}, batch_size={batch}, accumulate={accumulate}),
    )
    torch.save([p.detach() for p in model.parameters()], {folder!r} + "/rank" + os.environ["RANK"])
"""


def launch(tmp_path, *, during="pass", epochs=2, batch=BATCH // 2, accumulate=1):
    """Train with two processes; return the folder, the exit code and what stderr says."""
    folder = tmp_path / "run"
    script = tmp_path / "script.py"
    code = textwrap.dedent(SCRIPT).format(
        tiny=str(TINY), folder=str(folder), during=during, samples=SAMPLES, valid=VALID,
        epochs=epochs, batch=batch, accumulate=accumulate,
    )  # fmt: skip
    script.write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    ended = subprocess.run(
        [*launcher, "--nproc-per-node", "2", str(script)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    return folder, ended.returncode, ended.stderr


def log_of(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


@pytest.mark.distributed
@pytest.mark.parametrize(("batch", "accumulate"), [(3, 1), (1, 3)])
def test_two_processes_equal_one_with_the_joined_batch(tiny, tmp_path, batch, accumulate):
    folder, code, errors = launch(tmp_path, batch=batch, accumulate=accumulate)
    assert code == 0, errors
    model = tiny.TinyModel(dropout=0.0).double()
    result = fit(
        model,
        tiny.tiny_set(SAMPLES, dtype=torch.float64),
        tiny.tiny_set(VALID, dtype=torch.float64, seed=1),
        # Plain gradient descent: weights then differ by the sum of differences of gradients.
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        settings=Settings(epochs=2, batch_size=BATCH),
    )
    ranks = [torch.load(folder / f"rank{rank}", weights_only=True) for rank in (0, 1)]
    for one, two, alone in zip(*ranks, model.parameters(), strict=True):
        assert torch.equal(one, two)
        torch.testing.assert_close(one, alone.detach(), rtol=1e-12, atol=1e-14)
    for shared, alone in zip(log_of(folder), result.history, strict=True):
        for name in ("train/loss", "valid/l2"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-12)


@pytest.mark.distributed
@pytest.mark.parametrize("rank", [0, 1])
def test_run_with_a_killed_process_resumes_bit_for_bit(tmp_path, rank):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    # Once, in the fifth epoch: 4 steps an epoch.
    dies = (
        f'mark = Path({str(tmp_path)!r}) / "died"; '
        f'here = os.environ["RANK"] == "{rank}" and not mark.exists(); '
        f"calls.append(here); "
        f"len(calls) == 18 and here and (mark.touch(), os.kill(os.getpid(), 9))"
    )
    straight, code, errors = launch(tmp_path / "a", epochs=8)
    assert code == 0, errors
    killed, code, errors = launch(tmp_path / "b", epochs=8, during=dies)
    assert code != 0
    assert "Signal 9" in errors
    killed, code, errors = launch(tmp_path / "b", epochs=8, during=dies)
    assert code == 0, errors
    ends = [Checkpoints(folder / "checkpoints").newest() for folder in (straight, killed)]
    assert all(torch.equal(t, ends[1].tensors[name]) for name, t in ends[0].tensors.items())
    assert log_of(straight) == log_of(killed)


@pytest.mark.distributed
def test_broken_number_in_one_process_stops_all_within_the_step(tmp_path):
    during = 'os.environ["RANK"] == "1" and batch.x.fill_(float("nan"))'
    folder, code, errors = launch(tmp_path, during=during)
    assert code != 0
    assert "x of the data is not finite" in errors
    assert not (folder / "log.jsonl").read_text()
