from dataclasses import replace

import h5py
import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, FieldSpec, NonFiniteError, SchemaError, SplitError
from pdesolve.datasets.formats.conversion import (
    Part,
    Samples,
    shared_and_varying,
    stems,
    stored_dtype,
    write_set,
)

SPEC = DatasetSpec(
    "waves",
    Grid((4,), 1.0, True),
    (FieldSpec("a", "input"), FieldSpec("u", "output", time_varying=True)),
    parameters=("speed",),
)


def samples(count, *, seen=None, values=None):
    held = np.arange(count * 4, dtype="float32").reshape(count, 4) if values is None else values

    def read(rows):
        if seen is not None:
            seen.append((rows.start, rows.stop))
        speed = np.arange(count, dtype="float64")[rows]
        return {"a": held[rows], "u": -held[rows, None], "speed": speed}

    return Samples(SPEC, count, np.dtype("float32"), read, {"generator": "tests"})


def test_source_is_read_in_blocks_of_neighbours(tmp_path, monkeypatch, tools):
    # A sample takes 32 bytes.
    monkeypatch.setattr("pdesolve.datasets.formats.conversion.BLOCK_BYTES", 100)
    seen = []
    source = samples(9, seen=seen)
    parts = [Part("train", "a", source, range(2, 9)), Part("test", "a", source, range(2))]
    train, test = write_set(tmp_path, parts)
    assert seen == [(2, 5), (5, 8), (8, 9), (0, 2)]
    assert tools.read_back(train).parameters["speed"].tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert np.array_equal(tools.read_back(test).fields["a"].ravel(), np.arange(8))


def test_sample_larger_than_a_block_is_read_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("pdesolve.datasets.formats.conversion.BLOCK_BYTES", 1)
    seen = []
    write_set(tmp_path, [Part("train", "a", samples(3, seen=seen), range(3))])
    assert seen == [(0, 1), (1, 2), (2, 3)]


def test_field_that_no_chunk_holds_is_contiguous(tmp_path, monkeypatch, tools):
    monkeypatch.setattr("pdesolve.datasets.formats.conversion.CHUNK_BYTES", 8)
    (written,) = write_set(tmp_path, [Part("train", "a", samples(3), range(3))])
    with h5py.File(written) as file:
        assert file["t0_fields/a"].chunks is None


def test_interrupted_conversion_is_continued(tmp_path, tools, monkeypatch):
    monkeypatch.setattr("pdesolve.datasets.formats.conversion.BLOCK_BYTES", 1)
    source = samples(5)

    def interrupted(rows):
        if rows.start == 3:
            raise KeyboardInterrupt
        return source.read(rows)

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path, [Part("train", "a", replace(source, read=interrupted), range(5))])
    assert (tmp_path / "data" / "train" / "a.h5.tmp").is_file()
    (written,) = write_set(tmp_path, [Part("train", "a", source, range(5))])
    assert np.array_equal(tools.read_back(written).fields["a"].ravel(), np.arange(20))


def test_part_without_a_finite_sample_is_told(tmp_path):
    values = np.full((2, 4), np.nan, "float32")
    with pytest.raises(NonFiniteError, match="none of 2 samples is finite"):
        write_set(tmp_path, [Part("train", "a", samples(2, values=values), range(2))])


def test_set_without_samples_is_told(tmp_path):
    with pytest.raises(SplitError, match="no sample, expected at least one"):
        write_set(tmp_path, [Part("train", "a", samples(2), range(0))])


def test_stems_sort_as_their_numbers_do(tmp_path):
    assert stems(tmp_path / "set", 1) == ["set"]
    assert stems(tmp_path / "set", 11) == sorted(stems(tmp_path / "set", 11))


@pytest.mark.parametrize(
    ("dtypes", "stored"),
    [
        (("f2",), "f4"), (("f4",), "f4"), ((">f4", "u1"), "f4"), (("i2",), "f4"),
        (("i4",), "f8"), (("f4", "f8"), "f8"), (("?",), "f4"),
    ],
)  # fmt: skip
def test_dtype_holds_every_value(dtypes, stored):
    assert stored_dtype(*map(np.dtype, dtypes)) == np.dtype(stored)


def test_parameters_that_differ_become_the_condition(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    values = [{"nu": 0.1, "rho": 1.0}, {"nu": 0.2, "rho": 1.0}]
    assert shared_and_varying(values, files=files) == ({"rho": 1.0}, ("nu",))
    with pytest.raises(SchemaError, match=r"parameters \['nu'\], expected \['nu', 'rho'\]"):
        shared_and_varying([values[0], {"nu": 0.1}], files=files)
