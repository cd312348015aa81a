import multiprocessing
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    ExistingFileError,
    FieldSpec,
    IncompleteFileError,
    NonFiniteError,
    SchemaError,
    open_dataset,
    verify,
)


def test_file_appears_when_all_is_written(kinds, tmp_path):
    path = tmp_path / "deep" / "a.h5"
    with kinds.begin(path) as writer:
        for index in range(kinds.samples):
            kinds.put(writer, index)
            assert not path.exists()
        assert writer.finish() == path
    assert [p.name for p in path.parent.iterdir()] == ["a.h5"]


def test_finishing_too_early_says_what_is_missing(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        kinds.put(writer, 0)
        with pytest.raises(IncompleteFileError, match="1 samples are written, expected 7"):
            writer.finish()


def test_finished_and_unfinished_files_are_not_overwritten(kinds, stored, tmp_path):
    for resume in (False, True):
        with pytest.raises(ExistingFileError, match="finished already"):
            kinds.begin(stored, resume=resume)
    kinds.begin(tmp_path / "b.h5").__exit__(None, None, None)
    with pytest.raises(IncompleteFileError, match="resume=True"):
        kinds.begin(tmp_path / "b.h5")


@pytest.mark.parametrize("layout", ["chunked", "contiguous"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_interrupted_and_resumed_equals_uninterrupted(kinds, tmp_path, layout, dtype):
    settings = {"layout": layout, "dtype": dtype}
    path = tmp_path / "a.h5"
    for indices in ((0, 5), (1,), (2, 3)):
        with kinds.begin(path, resume=True, **settings) as writer:
            for index in indices:
                kinds.put(writer, index)
    kinds.write_all(path, resume=True, **settings)
    whole = kinds.write_all(tmp_path / "b.h5", **settings)
    contents = []
    for file in (path, whole):
        with h5py.File(file) as opened:
            contents.append({"mean": opened["pdesolve/stats/velocity"].attrs["mean"]})
            contents[-1] |= {p: opened[p][()] for p in ("t0_fields/solution", "scalars/viscosity")}
    for name, value in contents[0].items():
        assert np.array_equal(value, contents[1][name]), name
    assert open_dataset(path).data_hash == open_dataset(whole).data_hash
    assert not verify(path).errors


def test_nan_is_refused_unless_the_sample_is_rejected(kinds, tmp_path):
    fields = kinds.sample(0)
    fields["velocity"][3, 4, 1] = np.nan
    settings = {"seed": 0, "parameters": {"viscosity": 0.0}}
    with kinds.begin(tmp_path / "a.h5") as writer:
        with pytest.raises(NonFiniteError, match=r"velocity: 1 of 108 values of sample 0"):
            writer.write(0, fields, **settings)
        writer.write(0, fields, **settings, rejected=True)
        for index in range(1, kinds.samples):
            kinds.put(writer, index)
        path = writer.finish()
    dataset = open_dataset(path)
    assert len(dataset) == 6
    assert torch.equal(dataset.batch([0]).y[0, 0], torch.tensor(kinds.sample(1)["solution"]))
    assert not verify(path).errors


def test_all_samples_rejected_is_a_file_without_samples(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        for index in range(kinds.samples):
            kinds.put(writer, index, rejected=True)
        report = verify(writer.finish())
    assert (report.samples, report.errors) == (0, ())


@pytest.mark.parametrize("index", [-1, 7])
def test_index_outside_is_refused(kinds, tmp_path, index):
    parameters = {"viscosity": 0.0}
    with kinds.begin(tmp_path / "a.h5") as writer, pytest.raises(SchemaError, match="0 to 6"):
        writer.write(index, kinds.sample(0), seed=0, parameters=parameters)


def test_statistics_are_those_of_the_fields(kinds, stored):
    values = np.stack([kinds.sample(i)["solution"] for i in range(kinds.samples)]).astype("f8")
    with h5py.File(stored) as file:
        found = dict(file["pdesolve/stats/solution"].attrs)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert found["std"] == pytest.approx(values.std(), rel=1e-12)
    assert (found["min"], found["max"], found["count"]) == (values.min(), values.max(), values.size)


def masked(path, **settings):
    fields = (FieldSpec("mask", "input"), FieldSpec("u", "output"))
    spec = DatasetSpec("m", Grid((4, 3), 1.0, False), fields)
    return DatasetWriter(path, spec, 3, provenance={}, mask="mask", **settings)


def put_masked(writer, index):
    mask = np.arange(12).reshape(4, 3) >= index
    writer.write(index, {"mask": mask, "u": np.where(mask, index + 1.0, -99.0)}, seed=index)


def test_a_field_that_is_a_mask_arrives_as_mask_and_bounds_statistics(tmp_path):
    with masked(tmp_path / "a.h5") as writer:
        for index in (2, 0):
            put_masked(writer, index)
    # As if the kill had come between the sample and its mask.
    with h5py.File(tmp_path / "a.h5.tmp", "r+") as file:
        file["pdesolve/mask/domain"][2] = 1
    with masked(tmp_path / "a.h5", resume=True) as writer:
        assert writer.written == {0, 2}
        put_masked(writer, 1)
        path = writer.finish()
    batch = open_dataset(path).batch([0, 1, 2])
    assert torch.equal(batch.mask, batch.x)
    assert batch.mask.sum((1, 2, 3)).tolist() == [12, 11, 10]
    with h5py.File(path) as file:
        assert file["pdesolve/stats/u"].attrs["min"] == 1.0
    assert not verify(path).errors


def test_a_mask_that_is_no_field_is_refused(kinds, tmp_path):
    with pytest.raises(SchemaError, match="mask is 'domain'"):
        kinds.begin(tmp_path / "a.h5", mask="domain")


# Python 3.12 warns of any fork of a process with threads.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_writer_loses_no_sample_that_it_wrote(kinds, tmp_path):
    def write_three_and_die():
        writer = kinds.begin(tmp_path / "a.h5")
        for index in (4, 0, 2):
            kinds.put(writer, index)
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=write_three_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with kinds.begin(tmp_path / "a.h5", resume=True) as writer:
        assert writer.written == {0, 2, 4}


# Forks writers of 60 samples and kills each after a random time, until enough were killed.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec

fields = FieldSpec("a", "input"), FieldSpec("u", "output", time_varying=True)
spec = DatasetSpec("killed", Grid((33, 17), 1.0, True), fields)

def generate(path):
    with DatasetWriter(path, spec, 60, provenance={"seed": 1}, resume=True) as writer:
        for index in sorted(set(range(60)) - writer.written):
            random = np.random.default_rng([1, index])
            writer.write(index, {name: random.normal(size=(33, 17)) for name in "au"}, seed=index)
        writer.finish()

def run_and_kill(path, seconds):
    child = os.fork()
    if not child:
        generate(path)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != 0

folder, kills, moments = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
started = time.perf_counter()
generate(folder / "whole.h5")
longest = time.perf_counter() - started
killed = rounds = 0
while killed < kills:
    rounds += 1
    path = folder / f"after_{rounds}.h5"
    while not path.exists() and killed < kills:
        killed += run_and_kill(path, moments.uniform(0, longest))
    if not path.exists():
        generate(path)
"""


@pytest.mark.parametrize(("kills", "seed"), [(20, 0), pytest.param(400, 1, marks=pytest.mark.slow)])
def test_killed_generation_resumes_to_the_same_data(tmp_path, kills, seed):
    command = [sys.executable, "-c", KILLER, str(tmp_path), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = open_dataset(tmp_path / "whole.h5").data_hash
    finished = list(tmp_path.glob("after_*"))
    assert finished
    for path in finished:
        assert open_dataset(path).data_hash == whole
        assert not verify(path).errors
