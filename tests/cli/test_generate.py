import json

import pytest

from pdesolve import Grid
from pdesolve.cli.generate import sample_seed
from pdesolve.datasets import open_dataset


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


def test_a_stopped_generation_tells_how_to_go_on(pdesolve, monkeypatch):
    import signal

    from pdesolve.cli.generate import Filler

    solve = Filler._solve_block

    def solve_and_stop(self, writer, indices):
        solve(self, writer, indices)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Filler, "_solve_block", solve_and_stop)
        done = pdesolve("generate", *pdesolve.small_set, "block=4")
    assert done.code == 143
    assert "stopped after 4 of 12 train samples; go on with `pdesolve generate" in done.err
    assert pdesolve("generate", *pdesolve.small_set, "block=4").code == 0


def test_splits_never_share_a_seed():
    seeds = [sample_seed(0, split, index) for split in range(3) for index in range(500)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_converted_set_cannot_be_generated(pdesolve):
    done = pdesolve("generate", "dataset=darcy_16")
    assert done.code == 2
    assert "pdesolve data convert" in done.err


@pytest.mark.parametrize(
    "override", ["dataset.grid.periodic=true", "block=-1", "dataset.samples={training: 3}"]
)
def test_a_config_that_cannot_be_is_refused(pdesolve, override):
    assert pdesolve("generate", *pdesolve.small_set, override).code == 2
