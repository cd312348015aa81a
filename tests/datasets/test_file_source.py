import multiprocessing
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pdesolve import Grid
from pdesolve.datasets import (
    ChecksumError,
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    NonFiniteError,
    ResolutionError,
    SchemaError,
    file_source,
    open_dataset,
)

# Python 3.12 warns of any fork of a process with threads, which is what is tested here.
FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@FORKS
@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "spawn")])
def test_worker_processes_read_what_this_one_reads(kinds, stored, workers, method):
    dataset = open_dataset(stored, in_memory=False)
    dataset.batch([0])  # This process holds a handle now, which a fork must not use.
    context = {"multiprocessing_context": method} if workers else {}
    loader = DataLoader(
        range(7), batch_size=2, num_workers=workers, collate_fn=dataset.batch, **context
    )
    read = torch.cat([batch.y for batch in loader])
    expected = np.stack([kinds.sample(index)["solution"] for index in range(7)])
    assert np.array_equal(read[:, 0].numpy(), expected)
    assert torch.equal(dataset.batch([3]).y, read[3:4])


@FORKS
def test_forked_process_opens_a_handle_of_its_own(stored):
    dataset = open_dataset(stored, in_memory=False)
    dataset.batch([0])
    source = dataset._source
    here = set(source._opened)
    assert {key[0] for key in here} == {os.getpid()}
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def child():
        dataset.batch([1])
        queue.put((os.getpid(), set(source._opened) - here))

    process = context.Process(target=child)
    process.start()
    pid, there = queue.get()
    process.join()
    assert there == {(pid, *key[1:]) for key in here}


def test_readers_side_by_side_share_the_file(kinds, stored):
    code = (
        "import sys\n"
        "from pdesolve.datasets import open_dataset\n"
        "dataset = open_dataset(sys.argv[1], in_memory=False)\n"
        "print(float(dataset.batch(range(7)).y.double().sum()))\n"
    )
    command = [sys.executable, "-c", code, str(stored)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [float(reader.communicate()[0]) for reader in readers]
    expected = sum(kinds.sample(index)["solution"].astype("f8").sum() for index in range(7))
    assert sums == pytest.approx([expected] * 2, rel=1e-12)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    ("grid", "stride", "kept"),
    [
        (Grid((9, 5), 1.0, False), 2, slice(0, None, 2)),
        (Grid((8, 6), 1.0, True), 2, slice(0, None, 2)),
        (Grid((9, 15), 1.0, False, "cell"), 3, slice(1, None, 3)),
        (Grid((8, 4), 1.0, False, offset=0.01), 4, slice(0, None, 4)),
    ],
)
def test_stride_keeps_every_nth_point(tmp_path, grid, stride, kept, in_memory):
    spec = DatasetSpec("s", grid, (FieldSpec("v", "input", order=1), FieldSpec("u", "output")))
    random = np.random.default_rng(0)
    fields = {"v": random.normal(size=(*grid.shape, 2)), "u": random.normal(size=grid.shape)}
    with DatasetWriter(tmp_path / "s.h5", spec, 1, provenance={}, dtype="float64") as writer:
        writer.write(0, fields, seed=0)
        path = writer.finish()
    dataset = open_dataset(path, stride=stride, dtype=torch.float64, in_memory=in_memory)
    batch = dataset.batch([0])
    assert dataset.grid == grid.strided(stride) == batch.grid
    assert np.array_equal(batch.y[0, 0].numpy(), fields["u"][kept, kept])
    assert np.array_equal(batch.x[0, 1].numpy(), fields["v"][kept, kept, 1])


def test_illegal_stride_names_the_legal_ones(stored):
    with pytest.raises(ResolutionError, match=r"choose one of \[1, 2\]"):
        open_dataset(stored, stride=3)


@pytest.mark.parametrize("in_memory", [True, False])
def test_nan_in_a_stored_field_is_told(stored, in_memory):
    with h5py.File(stored, "r+") as file:
        file["t1_fields/velocity"][4, 0, :2, 1] = [np.nan, np.inf]
    with pytest.raises(NonFiniteError, match=r"t1_fields/velocity: sample 4 has 2 values"):
        open_dataset(stored, in_memory=in_memory).batch([6, 4])


@pytest.mark.parametrize("in_memory", [True, False])
def test_flipped_bit_in_a_chunk_is_told(stored, in_memory):
    with h5py.File(stored) as file:
        place = file["t0_fields/solution"].id.get_chunk_info(5).byte_offset
    content = bytearray(stored.read_bytes())
    content[place + 7] ^= 16
    stored.write_bytes(content)
    with pytest.raises(ChecksumError, match=r"t0_fields/solution, samples.*data verify"):
        open_dataset(stored, in_memory=in_memory).batch([5])


def test_a_set_without_outputs_is_refused(tmp_path):
    spec = DatasetSpec("t", Grid((4,), 1.0, True), (FieldSpec("a", "input"),))
    with DatasetWriter(tmp_path / "t.h5", spec, 1, provenance={}) as writer:
        writer.write(0, {"a": np.ones(4)}, seed=0)
        path = writer.finish()
    with pytest.raises(SchemaError, match="no output field"):
        open_dataset(path)


def test_contiguous_samples_are_mapped_and_the_file_stays_as_it_is(kinds, tmp_path):
    path = kinds.write_all(tmp_path / "c.h5", layout="contiguous")
    before = path.read_bytes()
    dataset = open_dataset(path, in_memory=False)
    batch = dataset.batch([6, 2, 3])
    for position, index in enumerate([6, 2, 3]):
        assert np.array_equal(batch.y[position, 0].numpy(), kinds.sample(index)["solution"])
    batch.y.zero_()
    assert path.read_bytes() == before
    assert torch.equal(dataset.batch([6]).y[0, 0], torch.tensor(kinds.sample(6)["solution"]))


def test_finite_values_whose_sum_overflows_are_fine(tmp_path):
    spec = DatasetSpec(
        "h", Grid((4,), 1.0, True), (FieldSpec("a", "input"), FieldSpec("u", "output"))
    )
    huge = np.full(4, 3e38, "float32")
    with DatasetWriter(tmp_path / "h.h5", spec, 1, provenance={}) as writer:
        writer.write(0, {"a": huge, "u": huge}, seed=0)
        path = writer.finish()
    assert np.array_equal(open_dataset(path).batch([0]).x[0, 0].numpy(), huge)


def test_loading_in_blocks_equals_loading_at_once(stored, monkeypatch):
    whole = open_dataset(stored, in_memory=True).batch(range(7))
    monkeypatch.setattr(file_source, "BLOCK_BYTES", 3 * 4 * 9 * 6 * 5)
    blocks = open_dataset(stored, in_memory=True).batch(range(7))
    for name in ("x", "y", "condition"):
        assert torch.equal(getattr(blocks, name), getattr(whole, name))
