"""Members are trajectories whose values tell which member, sample and frame they are."""

from collections import Counter

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Loader,
    Member,
    Mixture,
    Pairs,
    SchemaError,
    Window,
    open_dataset,
)

FRAMES = 4


@pytest.fixture
def member(tmp_path):
    """Open samples 100 * member + sample + frame / 10 of fields of those names."""

    def opened(number, samples, names=("u",), spacing=1.0, side=1.0, still=()):
        fields = tuple(FieldSpec(name, "output", time_varying=True) for name in names)
        fields += tuple(FieldSpec(name, "input") for name in still)
        times = tuple(spacing * k for k in range(FRAMES))
        spec = DatasetSpec(f"m{number}", Grid((5,), side, True), fields, times)
        with DatasetWriter(tmp_path / f"{number}.h5", spec, samples, provenance={}) as writer:
            for index in range(samples):
                u = 100 * number + index + np.arange(FRAMES)[:, None] / 10 + np.zeros(5)
                told = {name: np.full(5, 1000.0 * (k + 1)) for k, name in enumerate(still)}
                writer.write(index, {name: u for name in names} | told, seed=index)
            path = writer.finish()
        return open_dataset(path, window=Pairs("all2all", fixed=bool(still)))

    return opened


def owners(mixture, items):
    return Counter(int(v) // 100 for v in mixture.batch(items).x[:, 0, 0])


def test_items_come_back_in_the_order_in_which_they_are_asked_for(member):
    first, second = member(1, 3), member(2, 2)
    mixture = Mixture([Member(first), Member(second)])
    assert len(mixture) == 50
    wanted = [49, 0, 30, 29, 12]
    batch = mixture.batch(wanted)
    expected = [
        second.batch([19]),
        first.batch([0]),
        second.batch([0]),
        first.batch([29]),
        first.batch([12]),
    ]
    for name in ("x", "y", "condition"):
        assert torch.equal(
            getattr(batch, name), torch.cat([getattr(one, name) for one in expected])
        )
    with pytest.raises(IndexError, match="0 to 49"):
        mixture.batch([50])


@pytest.mark.parametrize(
    ("weights", "shares"), [((None, None), (30, 20)), ((1.0, 4.0), (10, 40)), ((0.0, 1.0), (0, 50))]
)
def test_members_have_their_shares_of_an_epoch(member, weights, shares):
    parts = [Member(member(k + 1, 3 - k), w) for k, w in enumerate(weights)]
    mixture = Mixture(parts)
    for epoch in range(3):
        seen = owners(mixture, mixture.order(0, epoch))
        assert (seen[1], seen[2]) == shares


def test_over_epochs_each_item_of_a_member_is_seen_equally_often(member):
    mixture = Mixture([Member(member(1, 3), 1.0), Member(member(2, 2), 4.0)])
    seen = Counter(int(i) for epoch in range(3) for i in mixture.order(7, epoch))
    assert {seen[i] for i in range(30)} == {1}
    assert {seen[i] for i in range(30, 50)} == {6}


def test_the_order_is_a_function_of_seed_and_epoch(member):
    mixture = Mixture([Member(member(1, 3)), Member(member(2, 2), 7.5)])
    again = Mixture(mixture.members)
    assert np.array_equal(mixture.order(3, 5), again.order(3, 5))
    assert not np.array_equal(mixture.order(3, 5), mixture.order(3, 6))
    assert not np.array_equal(mixture.order(3, 5), mixture.order(4, 5))


def test_a_loader_follows_the_order_and_goes_on_in_it(member):
    mixture = Mixture([Member(member(1, 3)), Member(member(2, 2))])
    loader = Loader(mixture, 8, seed=1)
    assert loader.order(2) == mixture.order(1, 2).tolist()
    whole = torch.cat([batch.x for batch in loader.batches(2)])
    rest = torch.cat([batch.x for batch in loader.batches(2, first=3)])
    assert torch.equal(whole[24:], rest)
    ranks = [Loader(mixture, 8, seed=1, rank=k, world=2).order(2) for k in range(2)]
    assert sorted(ranks[0] + ranks[1]) == sorted(loader.order(2))


def test_the_horizon_grows_with_the_epochs(member):
    parts = [
        Member(member(1, 3), time_scale=3.0),
        Member(member(2, 2, spacing=2.0), time_scale=6.0),
    ]
    mixture = Mixture(parts, horizon=[(0, 1 / 3), (2, 2 / 3), (5, 1.0)])
    for epoch, longest in ((0, 1 / 3), (1, 1 / 3), (2, 2 / 3), (4, 2 / 3), (9, 1.0)):
        order = mixture.order(0, epoch)
        leads = mixture.batch(order).condition[:, 0]
        assert len(order) == len(mixture)
        assert float(leads.max()) == pytest.approx(longest)


@pytest.mark.parametrize("horizon", [[], [(1, 1.0)], [(0, -1.0)], [(0, 1.0), (0, 2.0)]])
def test_a_horizon_that_shows_nothing_or_goes_back_is_refused(member, horizon):
    with pytest.raises(SchemaError, match="horizon"):
        Mixture([Member(member(1, 1))], horizon=horizon)


def test_missing_quantities_are_filled_and_not_judged(member):
    gas = Member(member(1, 1, ("density", "u", "pressure")), shift={"pressure": 100.0})
    liquid = Member(
        member(2, 1, ("u",)), filled={"density": 1.0, "pressure": 0.0}, unseen=("pressure",)
    )
    mixture = Mixture([gas, liquid])
    batch = mixture.batch([0, 10])
    assert mixture.input_names == ("density@0", "u@0", "pressure@0")
    assert batch.x[:, :, 0].tolist() == [[100, 100, 0], [1, 200, 0]]
    assert batch.mask[:, :, 0].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert mixture.batch([0]).mask is None


def test_statistics_are_those_of_all_items_where_quantities_are_seen(member):
    gas = Member(member(1, 3, ("u", "p")), weight=1.0)
    liquid = Member(member(2, 2, ("u",)), weight=3.0, filled={"p": 0.0}, unseen=("p",))
    mixture = Mixture([gas, liquid], statistics={"p": (5.0, 2.0)})
    parts = [gas.dataset.batch(range(30)).x[:, 0], liquid.dataset.batch(range(20)).x[:, 0]]
    u = torch.cat([parts[0].repeat(2, 1), parts[1].repeat(9, 1)]).double()
    found = mixture.normalization()
    assert float(found["x_mean"][0]) == pytest.approx(float(u.mean()))
    assert float(found["x_std"][0]) == pytest.approx(float(u.std(correction=0)))
    assert (float(found["x_mean"][1]), float(found["x_std"][1])) == (5.0, 2.0)
    seen = Mixture([gas, liquid]).normalization()
    assert float(seen["y_mean"][1]) == pytest.approx(
        float(gas.dataset.normalization()["y_mean"][1])
    )


def test_members_that_do_not_fit_are_refused(member):
    first = Member(member(1, 1, ("u", "p")))
    with pytest.raises(SchemaError, match=r"without p@0.*filled=\{'p': 0.0\}"):
        Mixture([first, Member(member(2, 1, ("u",)))])
    with pytest.raises(SchemaError, match="box and points"):
        Mixture([first, Member(member(3, 1, ("u", "p"), side=2.0))])


def test_weights_that_leave_nothing_are_refused(member):
    with pytest.raises(ValueError, match="weights are"):
        Mixture([Member(member(1, 1), 0.0)]).order(0, 0)


def test_what_shapes_the_items_is_in_the_identity(member):
    one = Member(member(1, 2))
    plain, grown = Mixture([one]), Mixture([one], horizon=[(0, 1.0)])
    assert plain.data_hash == grown.data_hash
    assert plain.window != grown.window
    assert plain.metadata()["members"][0]["name"] == "m1"


def test_quantities_are_chosen_and_ordered(member):
    gas = Member(member(1, 1, ("tracer", "pressure", "u")))
    liquid = Member(member(2, 1, ("u", "tracer")), filled={"pressure": 3.0})
    mixture = Mixture([liquid, gas], quantities=("u", "pressure"))
    assert mixture.input_names == ("u@0", "pressure@0")
    assert mixture.output_names == ("u@lead", "pressure@lead")
    assert mixture.batch([10, 0]).x[:, :, 0].tolist() == [[100, 100], [200, 3]]


@pytest.mark.parametrize("quantities", [None, ("pressure", "u")])
def test_a_member_alone_is_what_it_is_in_the_mixture(member, quantities):
    gas = Member(
        member(1, 2, ("u", "pressure"), still=("c", "d")), shift={"u": 0.5}, time_scale=3.0
    )
    liquid = Member(
        member(2, 1, ("u",), spacing=2.0, still=("d", "c")),
        filled={"pressure": 7.0}, unseen=("pressure",), time_scale=6.0,
    )  # fmt: skip
    mixture = Mixture([gas, liquid], quantities=quantities, statistics={"u": (1.0, 2.0)})
    alone = mixture.alone()
    assert [one.name for one in alone] == ["m1", "m2"]
    for one, items in zip(alone, (range(20), range(20, 30)), strict=True):
        assert one.input_names == mixture.input_names
        assert one.output_names == mixture.output_names
        assert one.normalization()["x_mean"][2 if quantities is None else 3] == 1.0
        inside, outside = one.batch(range(len(items))), mixture.batch(items)
        for name in ("x", "y", "condition"):
            assert torch.equal(getattr(inside, name), getattr(outside, name))
    assert mixture.input_names[:2] == ("c", "d")
    assert alone[1].batch([0]).x[0, :2, 0].tolist() == [2000.0, 1000.0]


def test_rollouts_of_a_member_see_its_channels_and_its_own_times(member):
    gas = Member(member(1, 2, ("u", "pressure")))
    liquid = Member(
        member(2, 1, ("u",), spacing=2.0, still=()), filled={"pressure": 7.0},
        unseen=("pressure",), time_scale=6.0, shift={"u": 200.0},
    )  # fmt: skip
    first, second = Mixture([gas, liquid]).alone()
    rolled = second.rolled()
    assert (len(first.rolled()), len(rolled)) == (2, 1)
    assert rolled.target_times == (2.0, 4.0, 6.0)
    assert second.frame_spacing == pytest.approx(1 / 3)
    batch = rolled.batch([0])
    assert batch.x[0, :, 0].tolist() == [0.0, 7.0]
    assert batch.y[0, :, 0].tolist() == pytest.approx([0.1, 7, 0.2, 7, 0.3, 7], abs=1e-4)
    assert batch.mask[0, :, 0].tolist() == [1, 0, 1, 0, 1, 0]
    assert (first.held, second.held) == ((), (1,))


def test_a_rollout_of_several_members_at_once_is_refused(member):
    with pytest.raises(SchemaError, match=r"2 members.*mixture\.alone\(\)"):
        Mixture([Member(member(1, 1)), Member(member(2, 1))]).rolled()


def test_a_horizon_of_items_without_lead_times_is_refused(member):
    frames = Member(member(1, 1).windowed(Window(1, 1)))
    with pytest.raises(SchemaError, match=r"\['m1'\], which have no lead times.*Pairs"):
        Mixture([frames], horizon=[(0, 1.0)])
