import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pdesolve import Grid
from pdesolve.datasets import DatasetWriter, open_dataset, verify


def set_hash(folder):
    return json.loads((folder / "MANIFEST.json").read_text())["data_hash"]


def test_generation_writes_every_split_and_its_pictures(with_data):
    made = with_data("generate", *with_data.small_set)  # again: nothing is missing
    assert made.code == 0
    assert (made.run / "samples.png").is_file()
    data = with_data.folder / "data" / "darcy_demo"
    assert len(open_dataset(data, split="train")) == 12
    assert open_dataset(data, split="test").grid == Grid((17, 17), 1.0, False)
    assert json.loads((made.run / "metrics.json").read_text())["valid/samples"] == 4


def test_stored_solutions_solve_the_equation(with_data):
    run = with_data("generate", *with_data.small_set, "dataset.path=data/again").run
    metrics = json.loads((run / "metrics.json").read_text())
    assert max(metrics[f"{split}/residual"] for split in ("train", "valid", "test")) <= 1e-8


def test_the_same_seed_gives_the_same_data_hash(with_data):
    with_data("generate", *with_data.small_set, "dataset.path=data/again")
    hashes = {
        open_dataset(with_data.folder / "data" / name, split="train").data_hash
        for name in ("darcy_demo", "again")
    }
    assert len(hashes) == 1


def test_another_seed_is_refused_where_data_lie_already(with_data):
    done = with_data("generate", *with_data.small_set, "dataset.seed=1")
    assert done.code == 2
    assert "holds other seeds than asked for" in done.err


def test_a_set_of_several_times_is_written_drawn_and_found_complete(with_flow):
    again = with_flow("generate", *with_flow.small_flow)
    assert again.code == 0, again.err
    assert (again.run / "samples.png").stat().st_size > 0
    assert json.loads((again.run / "metrics.json").read_text())["samples_per_second"] == 0
    assert with_flow("data", "verify", "data/navier_stokes_demo").code == 0


def interrupting(after, signum):
    """Return a `DatasetWriter.write` that sends this process a signal after some samples."""
    write, written = DatasetWriter.write, []

    def write_and_interrupt(self, index, *arguments, **settings):
        write(self, index, *arguments, **settings)
        written.append(index)
        if len(written) == after:
            signal.raise_signal(signum)

    return write_and_interrupt


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_generation_tells_how_to_go_on(pdesolve, monkeypatch, tiny_hash, signum, code):
    with monkeypatch.context() as patched:
        patched.setattr(DatasetWriter, "write", interrupting(4, signum))
        done = pdesolve("generate", *pdesolve.tiny_set)
    assert done.code == code
    told = "stopped after 4 of 12 train samples, 0 of 3 valid samples, 0 of 4 test samples"
    assert f"{told}; go on with `pdesolve generate" in done.err
    assert pdesolve("generate", *pdesolve.tiny_set).code == 0
    assert set_hash(pdesolve.folder / "data/poisson_demo") == tiny_hash


def test_workers_and_shards_change_nothing_but_files(pdesolve, monkeypatch, tiny_hash):
    with monkeypatch.context() as patched:
        patched.setattr(DatasetWriter, "write", interrupting(3, signal.SIGTERM))
        assert pdesolve("generate", *pdesolve.tiny_set, "shard=2/2", "workers=2").code == 143
    second = pdesolve("generate", *pdesolve.tiny_set, "shard=2/2", "workers=2")
    assert second.code == 0, second.err
    data = pdesolve.folder / "data/poisson_demo"
    assert "shard 2/2 is done; the set is not yet whole" in second.out
    assert "train lacks samples 0 to 5 of 12" in second.out
    assert not (data / "MANIFEST.json").exists()
    first = pdesolve("generate", *pdesolve.tiny_set, "shard=1/2")
    assert first.out.startswith("data: data/poisson_demo")
    assert set_hash(data) == tiny_hash
    names = sorted(path.name for path in data.glob("data/*/*"))
    assert names == ["poisson_demo-1-of-2.h5"] * 3 + ["poisson_demo-2-of-2.h5"] * 3
    train = open_dataset(data, split="train")
    assert len(train) == 12
    assert pdesolve("data", "verify", str(data)).code == 0


def test_more_shards_than_blocks_leave_some_without_work(pdesolve, tiny_hash):
    small = (*pdesolve.tiny_set, "dataset.samples={train: 3}")
    outs = [pdesolve("generate", *small, f"shard={k}/3") for k in (1, 2, 3)]
    assert [done.code for done in outs] == [0, 0, 0]
    assert "shard 1/3 has no block of samples" in outs[0].out
    assert len(open_dataset(pdesolve.folder / "data/poisson_demo", split="train")) == 3


def test_shards_of_another_division_are_refused(pdesolve):
    assert pdesolve("generate", *pdesolve.tiny_set, "shard=1/2").code == 0
    for other in ("shard=1/3", "shard=1/1"):
        done = pdesolve("generate", *pdesolve.tiny_set, other)
        assert done.code == 2
        assert "poisson_demo-1-of-2.h5 is there" in done.err


def test_a_dead_worker_leaves_samples_and_a_way_on(pdesolve, monkeypatch, tiny_hash):
    from pdesolve.cli import workers

    shared_out = workers._shared_out

    def shared_out_and_kill(tasks, pool, stopped):
        for answer in shared_out(tasks, pool, stopped):
            yield answer
            for process in pool.values():
                process.kill()

    with monkeypatch.context() as patched:
        patched.setattr(workers, "_shared_out", shared_out_and_kill)
        done = pdesolve("generate", *pdesolve.tiny_set, "workers=2")
    assert done.code == 3
    assert "of 2 died of signal SIGKILL" in done.err
    assert "go on with `pdesolve generate" in done.err
    assert pdesolve("generate", *pdesolve.tiny_set).code == 0
    assert set_hash(pdesolve.folder / "data/poisson_demo") == tiny_hash


# Forks generations and kills each near a random event of its writing, until enough were killed.
KILLER = """
import json, os, random, signal, sys, threading, time
from pathlib import Path
from pdesolve.cli import generate, main
from pdesolve.datasets import DatasetWriter, manifest

kills, ways, tiny = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
moments = random.Random(kills)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(after, call, events=[]):
    def call_and_die(*arguments, **settings):
        events.append(call.__name__)
        if len(events) == after:
            threading.Timer(moments.uniform(0, 0.02), die).start()
        return call(*arguments, **settings)
    return call_and_die

def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

def gone(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True

def generate_and_kill(arguments, after):
    child = os.fork()
    if not child:
        for owner, name in ((DatasetWriter, "__init__"), (DatasetWriter, "write"),
                            (DatasetWriter, "finish"), (manifest, "write_manifest")):
            setattr(owner, name, dying(after, getattr(owner, name)))
        os._exit(main.main(["generate", *tiny, *arguments]))
    workers, status = set(), None
    while status is None:
        workers |= set(children(child))
        done, code = os.waitpid(child, os.WNOHANG)
        status = code if done else None
        time.sleep(0.01)
    patience = time.monotonic() + 30
    while not all(map(gone, workers)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert all(map(gone, workers)), "workers outlive the process that they work for"
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL

killed = rounds = 0
while killed < kills:
    for way in ways:
        path = f"round_{rounds}/" + ("shards" if "shard" in str(way) else "whole")
        arguments = [f"dataset.path={path}", *way]
        while killed < kills and generate_and_kill(arguments, moments.randint(1, 20)):
            killed += 1
        generate_and_kill(arguments, 0)
    rounds += 1
print("killed", killed)
"""


@pytest.mark.parametrize(
    ("kills", "ways"),
    [
        (2, [["shard=2/2"], ["shard=1/2", "workers=2"]]),
        pytest.param(
            30, [["workers=2"], [], ["shard=1/2", "workers=2"], ["shard=2/2"]],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_killed_generations_make_the_data_of_uninterrupted_ones(pdesolve, tiny_hash, kills, ways):
    command = [sys.executable, "-c", KILLER, str(kills), json.dumps(ways), *pdesolve.tiny_set]
    done = subprocess.run(command, cwd=pdesolve.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"killed {kills}" in done.stdout
    sets = list(pdesolve.folder.glob("round_*/*"))
    assert {folder.name for folder in sets} >= {"shards"}
    for folder in sets:
        assert set_hash(folder) == tiny_hash
        assert not any(verify(path).errors for path in folder.glob("data/*/*.h5"))


CONFIGS = Path(__file__).resolve().parents[2] / "configs/dataset"
GENERATED = [p.stem for p in sorted(CONFIGS.glob("*.yaml")) if "\nsamples:" in p.read_text()]


@pytest.mark.parametrize("name", GENERATED)
def test_every_set_has_a_small_size(name):
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    small = config["smoke"]["samples"]
    assert small.keys() == config["samples"].keys()
    # A conformal ball at 90 % wants nine samples for validation.
    assert sum(small.values()) <= 24


@pytest.mark.parametrize(
    "name",
    ["darcy", *(pytest.param(n, marks=pytest.mark.slow) for n in GENERATED if n != "darcy")],
)
def test_every_small_set_is_made_and_sound(pdesolve, name):
    made = pdesolve("generate", f"dataset={name}", "size=smoke", "progress=false")
    assert made.code == 0, made.err
    assert json.loads((made.run / "metrics.json").read_text())["seconds"] < 60
    verified = pdesolve("data", "verify", f"data/{name}_smoke", "--json")
    assert verified.code == 0, verified.out
    reports = json.loads(verified.out)
    assert not any(report["errors"] + report["warnings"] for report in reports.values())


def test_a_converted_set_cannot_be_generated(pdesolve):
    done = pdesolve("generate", "dataset=darcy_16")
    assert done.code == 2
    assert "pdesolve data convert" in done.err


@pytest.mark.parametrize(
    "override",
    [
        "dataset.grid.periodic=true",
        "block=-1",
        "workers=0",
        "shard=0/2",
        "size=tiny",
        "dataset.samples={training: 3}",
        "dataset.samples={train: 0, valid: 0, test: 0}",
    ],
)
def test_a_config_that_cannot_be_is_refused(pdesolve, override):
    assert pdesolve("generate", *pdesolve.small_set, override).code == 2
