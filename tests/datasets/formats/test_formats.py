import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from pdesolve.datasets import TruncatedFileError, UnknownFormatError, UnsafeFileError
from pdesolve.datasets.formats import FORMATS, convert

WELL = ("dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields")
# Format -> data sets of a file, by shape; a shape of None is a group.
HDF5 = {
    "the_well": dict.fromkeys(WELL),
    "pdebench": {"tensor": (4, 3, 8), "x-coordinate": (8,), "t-coordinate": (3,)},
    "pdebench_groups": {"0000/data": (3, 8, 1), "0000/grid/x": (8,), "0000/grid/t": (3,)},
    "pdegym": {"velocity": (4, 3, 2, 8, 8)},
    "pdearena": {f"train/{name}": (4, 3, 8, 8) for name in ("u", "vx", "vy")},
}
OTHERS = {
    "neuraloperator": "darcy_train_16.pt",
    "fno_mat": "flow.mat",
    "thuml": "Pipe_X.npy",
}


def hdf5(path, content, **settings):
    with h5py.File(path, "w", **settings) as file:
        for name, shape in content.items():
            if shape is None:
                file.create_group(name)
            else:
                file[name] = np.ones(shape, "f4")
    return path


def made(folder, kind):
    if kind in HDF5:
        return hdf5(folder / "file", HDF5[kind])
    path = folder / OTHERS[kind]
    if kind == "neuraloperator":
        torch.save({"x": torch.ones(3, 16, 16).bool(), "y": torch.ones(3, 16, 16)}, path)
    elif kind == "fno_mat":
        savemat(path, {"u": np.ones((3, 8, 8, 2))})
    else:
        np.save(path, np.ones((3, 8, 8)))
    return path


def name_of(module):
    return module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("kind", [*HDF5, *OTHERS])
def test_every_file_fits_exactly_one_format(tmp_path, kind):
    path = made(tmp_path, kind)
    reasons = {name_of(module): module.detects(path) for module in FORMATS}
    assert [name for name, reason in reasons.items() if reason is None] == [kind]


def test_every_format_has_a_row_here():
    assert {name_of(module) for module in FORMATS} == {*HDF5, *OTHERS}


def test_unknown_file_is_told_why_by_every_format(tmp_path):
    path = hdf5(tmp_path / "file.h5", {"x": (3, 4)})
    with pytest.raises(UnknownFormatError) as caught:
        convert([path], tmp_path / "set")
    assert all(f"{name_of(module)}: " in str(caught.value) for module in FORMATS)


def test_file_that_was_cut_is_told_before_any_layout(tmp_path):
    path = made(tmp_path, "pdegym")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedFileError):
        convert([path], tmp_path / "set")


def test_file_that_changed_is_looked_at_again(tmp_path):
    path = hdf5(tmp_path / "file.h5", {"x": (3, 4)})
    with pytest.raises(UnknownFormatError):
        convert([path], tmp_path / "set")
    hdf5(path, HDF5["pdegym"])
    assert convert([path], tmp_path / "set")


@pytest.mark.parametrize("kind", HDF5)
def test_links_are_refused_whatever_the_layout(tmp_path, kind):
    path = made(tmp_path, kind)
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
    with pytest.raises(UnsafeFileError, match="elsewhere: a soft or external link"):
        convert([path], tmp_path / "set")
    assert not (tmp_path / "set").exists()
