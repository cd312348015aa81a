"""A run that is killed and started again ends as if it had not been killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("tiny.py")
PLAIN = {"settings": {"epochs": 20, "batch_size": 5, "checkpoint_every": 3, "log_every": 4}}
FULL = {
    "optimizer": "Muon",
    "augmentation": True,
    "settings": PLAIN["settings"] | {"ema_decay": 0.9, "accumulate": 2, "clip_norm": 1.0},
}


def start(folder, options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(folder), json.dumps(options)]
    return subprocess.Popen(command, env=environment)


def outcome(folder):
    """Weights and log lines, but for times."""
    from pdesolve.training.checkpoint import Checkpoints

    newest = Checkpoints(folder / "checkpoints").newest()
    weights = {name: t.numpy().tobytes() for name, t in newest.tensors.items()}
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    log = [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]
    return weights, log


def kill_in_training(folder, options, moment):
    """Kill the process that trains in the folder a random while after its first new checkpoint."""
    before = set((folder / "checkpoints").glob("step-*"))
    process = start(folder, options)
    while process.poll() is None and before >= set((folder / "checkpoints").glob("step-*")):
        time.sleep(0.002)
    time.sleep(moment)
    died = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return died


def check_kills(tiny, tmp_path, options, kills):
    tiny.main(tmp_path / "straight", options)
    moments = random.Random(0)
    deaths = sum(
        kill_in_training(tmp_path / "killed", options, moments.uniform(0, 0.15))
        for _ in range(kills)
    )
    # The last kills may come after the end of the run.
    assert deaths >= min(kills, 2)
    tiny.main(tmp_path / "killed", options)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")


def test_run_killed_three_times_ends_bit_for_bit_as_if_not(tiny, tmp_path):
    check_kills(tiny, tmp_path, FULL, 3)


@pytest.mark.slow
@pytest.mark.parametrize("options", [PLAIN, FULL], ids=["adamw", "muon-ema-augmentation"])
def test_run_killed_twenty_times_ends_bit_for_bit_as_if_not(tiny, tmp_path, options):
    longer = {**options, "settings": options["settings"] | {"epochs": 400}}
    check_kills(tiny, tmp_path, longer, 20)
