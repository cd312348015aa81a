import json
import random

import h5py
import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    MissingFileError,
    Physics,
    inspect,
    verify,
)


def kinds_of(findings):
    return {finding.kind for finding in findings}


def test_sound_file_has_no_errors(stored):
    report = verify(stored)
    assert (report.errors, report.warnings, report.samples) == ((), (), 7)
    assert len(report.data_hash) == 64
    json.dumps(report.as_dict())


def test_missing_file_is_an_exception(tmp_path):
    with pytest.raises(MissingFileError):
        verify(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("content", "kind"), [(b"", "NotHDF5Error"), (b"\x89HDF\r\n\x1a\n", "TruncatedFileError")]
)
def test_file_that_does_not_open_is_one_error(tmp_path, content, kind):
    (tmp_path / "a.h5").write_bytes(content)
    report = verify(tmp_path / "a.h5")
    assert kinds_of(report.errors) == {kind}
    assert report.samples == 0


def test_changed_field_is_found_by_its_hash(stored):
    # Written through HDF5, so that the chunk's checksum is right and only the hash can tell.
    with h5py.File(stored, "r+") as file:
        file["t0_fields/coefficient"][4, 3, 2] += 1e-3
    report = verify(stored)
    assert {"ChecksumError", "StatisticsError"} >= kinds_of(report.errors) >= {"ChecksumError"}
    assert report.errors[0].samples == (4,)
    assert "samples 4" in str(report.errors[0])
    assert verify(stored, full=False).errors == ()


def test_nan_is_found_with_its_samples(stored):
    with h5py.File(stored, "r+") as file:
        file["t0_fields/solution"][[1, 5], 0, 0, 0] = np.nan
    found = {finding.kind: finding for finding in verify(stored).errors}
    assert found["NonFiniteError"].samples == (1, 5)
    assert found["NonFiniteError"].place == "solution"


def test_changed_statistics_are_found(stored):
    with h5py.File(stored, "r+") as file:
        file["pdesolve/stats/velocity"].attrs.modify("std", np.array([1.0, 1.0]))
    found = {finding.kind: finding for finding in verify(stored).errors}
    assert found["StatisticsError"].place == "velocity"
    assert "['std']" in found["StatisticsError"].message


def test_unfinished_file_and_rejected_samples_are_told(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        kinds.put(writer, 0)
        kinds.put(writer, 3, rejected=True)
    report = verify(tmp_path / "a.h5.tmp")
    assert kinds_of(report.errors) == {"IncompleteFileError"}
    assert [finding.samples for finding in report.warnings] == [(3,)]


def test_broken_rule_of_the_well_is_told(stored):
    with h5py.File(stored, "r+") as file:
        del file["t2_fields"].attrs["field_names"]
    assert "SchemaError" in kinds_of(verify(stored).errors)


def test_check_sees_fields_and_its_suspicions_are_warnings(kinds, stored):
    shapes = []

    def check(fields, grid):
        assert grid == kinds.grid
        shapes.append({name: tuple(value.shape[1:]) for name, value in fields.items()})
        high = fields["solution"].flatten(1).amax(1)
        return [("bound", high > 2.5, "a solution is above 2.5"), ("none", high > 99, "never")]

    report = verify(stored, physics=Physics(check))
    expected = [i for i in range(7) if kinds.sample(i)["solution"].max() > 2.5]
    assert 0 < len(expected) < 7
    assert report.errors == ()
    (warning,) = report.warnings
    assert (warning.kind, warning.samples) == ("bound", tuple(expected))
    assert shapes == [
        {
            "coefficient": (9, 6),
            "velocity": (9, 6, 2),
            "distance": (9, 6),
            "solution": (9, 6),
            "viscosity": (),
        }
    ]


@pytest.mark.parametrize("times", [(5.0,), (5.0, 6.0)])
def test_check_of_an_evolution_sees_the_axis_of_time(tmp_path, times):
    fields = (FieldSpec("a", "input"), FieldSpec("u", "output", time_varying=True))
    spec = DatasetSpec(
        "e", Grid((4, 3), 1.0, True), fields, times, "Flow", equation_parameters={"times": times}
    )
    with DatasetWriter(tmp_path / "e.h5", spec, 2, provenance={}) as writer:
        for index in range(2):
            u = np.ones((len(times), 4, 3))
            writer.write(index, {"a": u[0], "u": u}, seed=index)
        path = writer.finish()
    shapes = []
    verify(
        path,
        physics=Physics(
            lambda fields, grid: shapes.append({k: tuple(v.shape) for k, v in fields.items()}) or []
        ),
    )
    assert shapes == [{"a": (2, 4, 3), "u": (2, len(times), 4, 3)}]


def test_rejected_samples_are_not_checked(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        for index in range(7):
            kinds.put(writer, index, rejected=index in (0, 4))
        path = writer.finish()
    report = verify(
        path,
        physics=Physics(
            lambda fields, grid: [("all", torch.ones(len(fields["solution"])) > 0, "all")]
        ),
    )
    found = {finding.kind: finding.samples for finding in report.warnings}
    assert found == {"rejected": (0, 4), "all": (1, 2, 3, 5, 6)}


def data_areas(path):
    """Byte ranges of fields, constants and records, and of checksums."""
    areas = []

    def visit(_, item):
        if not isinstance(item, h5py.Dataset):
            return
        if item.chunks:
            chunks = (item.id.get_chunk_info(k) for k in range(item.id.get_num_chunks()))
            areas.extend(range(c.byte_offset, c.byte_offset + c.size) for c in chunks)
        elif item.id.get_offset() is not None:
            start = item.id.get_offset()
            areas.append(range(start, start + item.id.get_storage_size()))

    with h5py.File(path) as file:
        file.visititems(visit)
    return areas


@pytest.mark.parametrize("layout", ["chunked", "contiguous"])
@pytest.mark.parametrize("flips", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_flipped_bit_of_the_data_is_found(kinds, tmp_path, layout, flips):
    path = kinds.write_all(tmp_path / "a.h5", layout=layout)
    areas = data_areas(path)
    assert sum(map(len, areas)) > 7 * 4 * 9 * 6 * 4
    whole = path.read_bytes()
    choose = random.Random(flips)
    for _ in range(flips):
        place = choose.choice(choose.choices(areas, weights=[len(a) for a in areas])[0])
        bit = choose.randrange(8)
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        assert verify(path).errors, f"bit {bit} of byte {place}"


@pytest.mark.parametrize("flips", [50, pytest.param(2000, marks=pytest.mark.slow)])
def test_flipped_bit_anywhere_is_an_error_or_changes_nothing(stored, flips):
    before = verify(stored)
    facts = inspect(stored)
    whole = stored.read_bytes()
    choose = random.Random(flips)
    for _ in range(flips):
        flipped = bytearray(whole)
        flipped[choose.randrange(len(whole))] ^= 1 << choose.randrange(8)
        stored.write_bytes(flipped)
        report = verify(stored)
        assert report.errors or (report == before and inspect(stored) == facts)
