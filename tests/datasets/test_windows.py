"""Stored values name their sample, field, component and time, so that each channel tells itself."""

import json
import pickle

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    AtTimes,
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Loader,
    Pairs,
    SchemaError,
    Window,
    open_dataset,
    split,
)

GRID = Grid((4, 6), 1.0, True)
TIMES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
SAMPLES = 5
INITIAL, FORCING, VORTICITY = 100, 200, 300


def value(sample, field, time=0.0):
    return 1000 * sample + field + time


def spec_of(times=TIMES, *, inputs=True, parameters=("viscosity",)):
    fields = [FieldSpec("vorticity", "output", "1/s", time_varying=True)]
    if inputs:
        fields += [FieldSpec("initial", "input", "1/s"), FieldSpec("forcing", "input")]
    return DatasetSpec("flow", GRID, tuple(fields), times=times, parameters=parameters)


def written(path, times=TIMES, *, inputs=True, layout="chunked"):
    """A file whose field values are `value(...)` plus the number of the point."""
    spec = spec_of(times, inputs=inputs)
    points = np.arange(24).reshape(4, 6) / 100
    with DatasetWriter(
        path, spec, SAMPLES, provenance={}, layout=layout, dtype="float64"
    ) as writer:
        for sample in range(SAMPLES):
            frames = [value(sample, VORTICITY, t) + points for t in times]
            fields = {"vorticity": np.array(frames)}
            if inputs:
                fields["initial"] = value(sample, INITIAL) + points
                fields["forcing"] = value(sample, FORCING) + points
            writer.write(sample, fields, seed=sample, parameters={"viscosity": sample / 10})
        return writer.finish()


def opened(path, window=None, **settings):
    return open_dataset(path, window=window, dtype=torch.float64, **settings)


def told(channels):
    """What the channels of one item say they are, by their first point."""
    return channels.flatten(1)[:, 0].tolist()


@pytest.fixture(params=["memory", "chunked", "contiguous"])
def flow(request, tmp_path):
    """Opens the same five trajectories of six times with a window, from memory or from a file."""
    layout = "contiguous" if request.param == "contiguous" else "chunked"
    path = written(tmp_path / "flow.h5", layout=layout)
    return lambda window=None: opened(path, window, in_memory=request.param == "memory")


def test_without_a_window_inputs_map_to_the_last_time(flow):
    dataset = flow()
    assert (len(dataset), dataset.trajectories) == (5, 5)
    assert dataset.input_names == ("initial", "forcing")
    assert dataset.output_names == ("vorticity",)
    assert dataset.target_times == (6.0,)
    batch = dataset.batch([3])
    assert told(batch.x[0]) == [value(3, INITIAL), value(3, FORCING)]
    assert told(batch.y[0]) == [value(3, VORTICITY, 6.0)]
    assert torch.equal(batch.condition, torch.tensor([[0.3]], dtype=torch.float64))


def test_all_times_become_channels_named_after_them(flow):
    dataset = flow(AtTimes("all"))
    assert dataset.output_names == tuple(f"vorticity@{t}" for t in range(1, 7))
    assert dataset.target_times == dataset.times
    assert told(dataset.batch([2]).y[0]) == [value(2, VORTICITY, t) for t in TIMES]


def test_chosen_times_count_from_the_first(flow):
    dataset = flow(AtTimes((0, 4)))
    assert told(dataset.batch([1]).y[0]) == [value(1, VORTICITY, 1.0), value(1, VORTICITY, 5.0)]


def test_without_input_fields_the_first_time_is_the_input(tmp_path):
    path = written(tmp_path / "f.h5", inputs=False)
    last, every = opened(path), opened(path, AtTimes("all"))
    assert (last.input_names, last.output_names) == (("vorticity@1",), ("vorticity",))
    assert told(last.batch([1]).x[0]) == [value(1, VORTICITY, 1.0)]
    assert every.target_times == TIMES[1:]
    with pytest.raises(SchemaError, match=r"ascending positions 1 to 5.*the first time is"):
        opened(path, AtTimes((0, 1)))


def test_every_start_of_a_window_is_an_item(flow):
    dataset = flow(Window(2, 3))
    assert (len(dataset), dataset.trajectories) == (10, 5)
    assert dataset.input_names == ("vorticity@-1", "vorticity@0")
    assert dataset.output_names == ("vorticity@1", "vorticity@2", "vorticity@3")
    assert dataset.units["vorticity@2"] == "1/s"
    assert dataset.target_times is None
    batch = dataset.batch([7, 0])
    assert told(batch.x[0]) == [value(3, VORTICITY, t) for t in (2, 3)]
    assert told(batch.y[0]) == [value(3, VORTICITY, t) for t in (4, 5, 6)]
    assert told(batch.y[1]) == [value(0, VORTICITY, t) for t in (3, 4, 5)]
    assert batch.condition[:, 0].tolist() == [0.3, 0.0]
    assert dataset.seeds[6:8] == [3, 3]


def test_a_given_start_makes_one_item(flow):
    dataset = flow(Window(1, None, start=2))
    assert len(dataset) == 5
    assert dataset.target_times == (4.0, 5.0, 6.0)
    assert told(dataset.batch([4]).x[0]) == [value(4, VORTICITY, 3)]
    assert told(dataset.batch([4]).y[0]) == [value(4, VORTICITY, t) for t in (4, 5, 6)]


def test_initial_field_is_the_first_frame_and_other_inputs_stay(flow):
    dataset = flow(Window(2, 2, start=0, fixed=True, initial="initial"))
    assert dataset.input_names == ("forcing", "vorticity@-1", "vorticity@0")
    assert dataset.fixed_channels == 1
    x = told(dataset.batch([1]).x[0])
    assert x == [value(1, FORCING), value(1, INITIAL), value(1, VORTICITY, 1)]
    assert dataset.target_times == (2.0, 3.0)


def test_every_nth_frame_counts_from_the_initial_field(flow):
    dataset = flow(Window(1, 2, start=0, every=2, initial="initial"))
    assert told(dataset.batch([0]).x[0]) == [value(0, INITIAL)]
    assert told(dataset.batch([0]).y[0]) == [value(0, VORTICITY, t) for t in (2, 4)]


def test_components_of_a_frame_stand_together(tmp_path):
    fields = (
        FieldSpec("v", "output", time_varying=True, order=1),
        FieldSpec("p", "output", time_varying=True),
    )
    spec = DatasetSpec("v", GRID, fields, times=(0.0, 1.0, 2.0))
    v = np.arange(3)[:, None, None, None] + 0.1 * np.arange(2) + np.zeros((3, 4, 6, 2))
    p = 0.5 + np.arange(3)[:, None, None] + np.zeros((3, 4, 6))
    with DatasetWriter(tmp_path / "v.h5", spec, 1, provenance={}, dtype="float64") as writer:
        writer.write(0, {"v": v, "p": p}, seed=0)
        path = writer.finish()
    for in_memory in (True, False):
        dataset = opened(path, Window(2, 1), in_memory=in_memory)
        assert dataset.input_names == ("v_x@-1", "v_y@-1", "p@-1", "v_x@0", "v_y@0", "p@0")
        batch = dataset.batch([0])
        assert told(batch.x[0]) == [0.0, 0.1, 0.5, 1.0, 1.1, 1.5]
        assert told(batch.y[0]) == [2.0, 2.1, 2.5]


def test_all2all_pairs_are_those_of_the_paper():
    assert len(Pairs("all2all").pairs(11)) == 66
    assert len(Pairs("all2all").pairs(8)) == 36
    assert len(Pairs("all2all", identity=False).pairs(8)) == 28


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (Pairs("next"), [(0, 1), (1, 2), (2, 3)]),
        (Pairs("next", max_lead=3), [(0, 1), (1, 2), (2, 3)]),
        (Pairs("one2all"), [(0, 0), (0, 1), (0, 2), (0, 3)]),
        (Pairs("one2all", identity=False, max_lead=2), [(0, 1), (0, 2)]),
        (Pairs("all2all", max_lead=1, identity=False), [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_pairs_of_four_frames(pairs, expected):
    assert pairs.pairs(4) == expected


def test_lead_time_comes_first_in_the_condition(flow):
    dataset = flow(Pairs("all2all", frames=4, every=2, identity=False))
    assert (len(dataset), dataset.condition_names) == (15, ("lead_time", "viscosity"))
    assert (dataset.input_names, dataset.output_names) == (("vorticity@0",), ("vorticity@lead",))
    batch = dataset.batch([6, 7, 8])
    assert told(batch.x[:, 0]) == [value(2, VORTICITY, t) for t in (1, 1, 3)]
    assert told(batch.y[:, 0]) == [value(2, VORTICITY, t) for t in (3, 5, 5)]
    assert batch.condition[:, 0].tolist() == [2.0, 4.0, 2.0]
    assert batch.condition[:, 1].tolist() == [0.2] * 3


def test_pairs_carry_fixed_inputs(flow):
    dataset = flow(Pairs("one2all", identity=False, fixed=True, initial="initial"))
    assert dataset.input_names == ("forcing", "vorticity@0")
    assert told(dataset.batch([0]).x[0]) == [value(0, FORCING), value(0, INITIAL)]
    assert dataset.batch([5]).condition[0, 0] == 6.0


def test_a_trajectory_never_comes_into_two_splits(flow):
    parts = split(flow(Window(2, 3)), {"train": 3, "valid": 2}, seed=1)
    seeds = {name: set(part.seeds) for name, part in parts.items()}
    assert [len(part) for part in parts.values()] == [6, 4]
    assert not seeds["train"] & seeds["valid"]
    assert parts["valid"].trajectories == 2


def test_loader_sees_every_item_once(flow):
    dataset = flow(Pairs("next"))
    loader = Loader(dataset, 4, seed=3)
    seen = torch.cat([batch.x[:, 0, 0, 0] for batch in loader.batches(0)]).tolist()
    assert sorted(seen) == [value(s, VORTICITY, t) for s in range(5) for t in TIMES[:-1]]


def test_hash_is_of_the_data_and_the_window_is_told_beside(flow):
    first, second = flow(Window(2, 3)), flow(Pairs())
    assert first.data_hash == second.data_hash == flow().data_hash
    metadata = json.loads(json.dumps(first.metadata()))
    assert metadata["window"] == repr(Window(2, 3))
    assert (metadata["samples"], metadata["trajectories"]) == (10, 5)


@pytest.mark.parametrize("window", [Window(2, 3), Pairs("all2all"), AtTimes("all"), AtTimes()])
def test_normalization_counts_every_item(flow, window):
    dataset = flow(window)
    found = dataset.normalization()
    batch = dataset.batch(range(len(dataset)))
    for part, names in (("x", dataset.input_names), ("y", dataset.output_names)):
        values = getattr(batch, part)
        kinds = [name.partition("@")[0] for name in names]
        for k, kind in enumerate(kinds):
            same = values[:, [one == kind for one in kinds]]
            assert found[f"{part}_mean"][k] == pytest.approx(float(same.mean()), rel=1e-6)
            assert found[f"{part}_std"][k] == pytest.approx(float(same.std(correction=0)), rel=1e-5)


def test_windows_of_a_strided_grid(tmp_path):
    path = written(tmp_path / "f.h5")
    for in_memory in (True, False):
        batch = opened(path, Window(1, 1), stride=2, in_memory=in_memory).batch([0])
        assert batch.grid == GRID.strided(2)
        assert batch.y[0, 0, :, 1].tolist() == pytest.approx([302.02, 302.14], rel=1e-12)


def test_another_window_shares_the_samples(flow):
    part = flow(Window(2, 1)).subset([4, 1])
    rolled = part.rolled()
    assert rolled.window == Window(2, 4, start=0)
    assert (len(rolled), rolled.target_times) == (2, TIMES[2:])
    assert rolled.seeds == [4, 1]
    assert part.ahead(3).window == Window(2, 3)
    assert part.ahead(1) is part


def test_rollout_of_pairs_starts_at_the_first_frame(flow):
    rolled = flow(Pairs("all2all", every=2)).rolled()
    assert rolled.target_times == (3.0, 5.0)
    assert rolled.condition_names == ("viscosity",)


def test_rollout_takes_whole_calls(flow):
    assert flow(Window(1, 2)).rolled().target_times == (2.0, 3.0, 4.0, 5.0)
    assert flow(Window(1, None, start=0)).rolled().target_times == TIMES[1:]


def test_a_map_to_one_time_has_no_rollout(flow):
    with pytest.raises(SchemaError, match=r"expected a Window, whose targets may become inputs"):
        flow().rolled()


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(4, 3), r"6 frames.*at least 4 \+ 3 from frame 0 on"),
        (Window(2, 3, start=2), "6 frames.*from frame 2 on"),
        (Window(0, 1), "6 frames"),
        (Window(1, 1, every=0), "every is 0"),
        (Window(1, 1, initial="start"), r"initial is 'start' of 0 channels.*\['initial', 'forcing"),
        (Pairs("next", frames=1), "1 frames and no pair"),
        (AtTimes((5, 6)), "ascending positions 0 to 5"),
        (AtTimes((3, 3)), "ascending positions"),
    ],
)
def test_what_is_not_stored_is_told(flow, window, message):
    with pytest.raises(SchemaError, match=message):
        flow(window)


def test_unequal_distances_need_a_lead_time(tmp_path):
    path = written(tmp_path / "f.h5", times=(0.5, 1.0, 3.0))
    with pytest.raises(SchemaError, match=r"distances of 0.5 to 2 between frames.*use Pairs"):
        opened(path, Window(1, 1))
    with pytest.raises(SchemaError, match="distances"):
        opened(path, Window(1, 2, start=1, initial="initial"))
    assert len(opened(path, Window(1, 1, start=1))) == 5
    assert opened(path, Pairs("next")).batch([0, 1]).condition[:, 0].tolist() == [0.5, 2.0]


def test_times_rounded_to_float32_are_equally_spaced(tmp_path):
    times = tuple(4.5 + 0.055 * k for k in range(1, 7))
    assert len(opened(written(tmp_path / "f.h5", times=times), Window(2, 1))) == 20


def test_initial_field_needs_a_later_first_time(tmp_path):
    path = written(tmp_path / "f.h5", times=(0.0, 1.0))
    with pytest.raises(SchemaError, match="a first time > 0"):
        opened(path, Window(1, 1, initial="initial"))


def test_copies_keep_their_window(flow):
    dataset = flow(Window(2, 3))
    other = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(other.batch([7]).y, dataset.batch([7]).y)
