from dataclasses import replace

import pytest

from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, FieldSpec, SchemaError

PLANE = Grid((5, 4), 1.0, True)


def test_fields_come_as_inputs_outputs_constants():
    fields = (
        FieldSpec("c", "constant", sample_varying=False),
        FieldSpec("u", "output"),
        FieldSpec("a", "input"),
        FieldSpec("b", "input"),
    )
    spec = DatasetSpec("s", PLANE, fields)
    assert [one.name for one in spec.fields] == ["a", "b", "u", "c"]


def test_hash_order_is_the_alphabet():
    spec = DatasetSpec("s", PLANE, (FieldSpec("z", "input"), FieldSpec("a", "output")))
    assert [one.name for one in spec.varying] == ["a", "z"]


@pytest.mark.parametrize(
    ("one", "shape"),
    [
        (FieldSpec("u", "input"), (5, 4)),
        (FieldSpec("u", "output", time_varying=True), (3, 5, 4)),
        (FieldSpec("u", "output", time_varying=True, order=1), (3, 5, 4, 2)),
    ],
)
def test_stored_shape_is_time_grid_component(one, shape):
    assert DatasetSpec("s", PLANE, (one,), times=(0, 1, 2)).stored_shape(one) == shape


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vector_has_one_channel_an_axis(dims):
    assert FieldSpec("v", "input", order=1).components(dims) == ("v_x", "v_y", "v_z")[:dims]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FieldSpec("a/b", "input"), "identifier"),
        (lambda: FieldSpec("a", "input", order=2), "order"),
        (lambda: FieldSpec("a", "constant"), "sample_varying=False"),
        (lambda: DatasetSpec("s", PLANE, (FieldSpec("a", "input"),) * 2), "twice"),
        (lambda: DatasetSpec("s", PLANE, (FieldSpec("a", "input"),), parameters=("a",)), "twice"),
        (lambda: DatasetSpec("s", Grid((2,) * 4, 1.0, True), ()), "axes"),
        (lambda: DatasetSpec("s", PLANE, (), times=(1.0, 0.0)), "ascending"),
        (lambda: DatasetSpec("s", PLANE, (), times=()), "times"),
    ],
)
def test_nonsense_is_refused(build, message):
    with pytest.raises(SchemaError, match=message):
        build()


def test_differences_name_what_differs():
    spec = DatasetSpec("s", PLANE, (FieldSpec("a", "input"),))
    other = replace(spec, name="t", parameters=("p",))
    assert [line.split(" ")[0] for line in spec.differences(other)] == ["name", "parameters"]
    assert spec.differences(replace(spec)) == []
