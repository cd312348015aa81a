import h5py
import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, validate


@pytest.mark.parametrize("times", [(0.0,), (0.0, 0.5, 1.0)])
@pytest.mark.parametrize("placement", ["node", "cell"])
@pytest.mark.parametrize("shape", [(5,), (4, 7), (3, 4, 5)])
def test_written_file_keeps_the_rules(tmp_path, shape, placement, times):
    spec = DatasetSpec(
        "s",
        Grid(shape, 2.0, [True, False, False][: len(shape)], placement),
        (
            FieldSpec("a", "input"),
            FieldSpec("g", "input", sample_varying=False),
            FieldSpec("v", "output", time_varying=True, order=1),
        ),
        times=times,
        parameters=("viscosity",),
    )
    fields = {"a": np.ones(shape), "v": np.ones((len(times), *shape, len(shape)))}
    constants = {"g": np.ones(shape)}
    path = tmp_path / "s.h5"
    with DatasetWriter(path, spec, 2, provenance={}, constants=constants) as writer:
        for index in range(2):
            writer.write(index, fields, seed=index, parameters={"viscosity": 0.1})
        writer.finish()
    assert validate(path) == []


def replace(file, place, values):
    attributes = dict(file[place].attrs)
    del file[place]
    file.create_dataset(place, data=values).attrs.update(attributes)


BREAKS = {
    "no name": lambda f: f.attrs.__delitem__("dataset_name"),
    "name is a number": lambda f: f.attrs.__setitem__("dataset_name", 3),
    "trajectories is a float": lambda f: f.attrs.__setitem__("n_trajectories", 7.0),
    "other trajectories": lambda f: f.attrs.__setitem__("n_trajectories", 8),
    "no parameters": lambda f: f.attrs.__delitem__("simulation_parameters"),
    "unknown parameter": lambda f: f.attrs.__setitem__("simulation_parameters", ["nu"]),
    "no t2": lambda f: f.__delitem__("t2_fields"),
    "no scalars": lambda f: f.__delitem__("scalars"),
    "no time": lambda f: f.__delitem__("dimensions/time"),
    "no axis": lambda f: f.__delitem__("dimensions/y"),
    "axis names": lambda f: f["dimensions"].attrs.__setitem__("spatial_dims", ["x"]),
    "flag missing": lambda f: f["t0_fields/solution"].attrs.__delitem__("time_varying"),
    "flag is an integer": lambda f: f["dimensions/time"].attrs.__setitem__("time_varying", 1),
    "flag of a field": lambda f: f["t0_fields/solution"].attrs.__setitem__("time_varying", False),
    "dim_varying": lambda f: f["t0_fields/solution"].attrs.__setitem__("dim_varying", [True]),
    "field not there": lambda f: f["t0_fields"].attrs.__setitem__("field_names", ["nope"]),
    "names of fields": lambda f: f["t1_fields"].attrs.__delitem__("field_names"),
    "shape of a vector": lambda f: replace(f, "t1_fields/velocity", np.zeros((7, 9, 6))),
    "shape of a scalar": lambda f: replace(f, "scalars/viscosity", np.zeros(3)),
    "boundary kind": lambda f: f["boundary_conditions/x_wall"].attrs.__delitem__("bc_type"),
    "boundary mask": lambda f: f.__delitem__("boundary_conditions/x_wall/mask"),
    "boundary axis": lambda f: f["boundary_conditions/x_wall"].attrs.__setitem__(
        "associated_dims", ["w"]
    ),
    "boundary shape": lambda f: replace(f, "boundary_conditions/x_wall/mask", np.ones(4, bool)),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_broken_rule_is_found(stored, name):
    with h5py.File(stored, "r+") as file:
        BREAKS[name](file)
    assert validate(stored)
