import itertools

import pytest
import torch

from pdesolve.datasets import Loader, SplitError, from_arrays, split


def numbered(samples):
    values = torch.arange(samples, dtype=torch.float32)[:, None].expand(samples, 4)
    return from_arrays(values, values, periodic=(True,))


def seen(loader, epoch, first=0):
    return [batch.x[:, 0, 0].int().tolist() for batch in loader.batches(epoch, first)]


@pytest.mark.parametrize(("samples", "batch"), [(10, 3), (12, 4), (5, 8), (1, 1)])
def test_each_sample_is_seen_once_an_epoch(samples, batch):
    loader = Loader(numbered(samples), batch, seed=3)
    batches = seen(loader, 0)
    assert sorted(itertools.chain(*batches)) == list(range(samples))
    assert len(batches) == len(loader)
    assert {len(one) for one in batches[:-1]} <= {batch}
    assert list(itertools.chain(*batches)) == loader.order(0)


def test_order_is_a_function_of_seed_and_epoch():
    dataset = numbered(50)
    orders = {
        (seed, epoch): tuple(Loader(dataset, 8, seed=seed).order(epoch))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(set(orders.values())) == 9
    loader = Loader(dataset, 8, seed=2)
    list(loader.batches(0))
    assert tuple(loader.order(1)) == orders[2, 1]


def test_order_is_the_same_on_every_machine():
    # numpy.random.Generator(Philox(SeedSequence([0, 0]))).permutation(8); NumPy keeps streams.
    assert Loader(numbered(8), 2).order(0) == [3, 6, 4, 0, 7, 5, 2, 1]


def test_without_shuffling_the_stored_order_stays():
    assert Loader(numbered(5), 2, shuffle=False).order(7) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("first", [0, 1, 3, 4])
def test_resumed_epoch_goes_on_where_it_stopped(first):
    loader = Loader(numbered(11), 3, seed=1)
    assert seen(loader, 5, first) == seen(loader, 5)[first:]


@pytest.mark.parametrize(
    ("samples", "batch", "world"), [(16, 2, 4), (17, 2, 4), (10, 3, 3), (3, 2, 5), (100, 7, 2)]
)
def test_ranks_share_an_epoch_evenly(samples, batch, world):
    dataset = numbered(samples)
    loaders = [Loader(dataset, batch, seed=4, rank=r, world=world) for r in range(world)]
    shards = [seen(loader, 2) for loader in loaders]
    for step in zip(*shards, strict=True):
        assert len({len(one) for one in step}) == 1
    counts = [0] * samples
    for index in itertools.chain(*itertools.chain(*shards)):
        counts[index] += 1
    assert min(counts) == 1
    assert sum(counts) - samples == -samples % world


def test_ranks_together_see_the_batches_of_one_process():
    dataset = numbered(24)
    alone = seen(Loader(dataset, 6, seed=9), 1)
    shards = [seen(Loader(dataset, 2, seed=9, rank=r, world=3), 1) for r in range(3)]
    together = [sorted(itertools.chain(*step)) for step in zip(*shards, strict=True)]
    assert together == [sorted(one) for one in alone]


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"batch_size": 1, "rank": 2, "world": 2}])
def test_nonsense_is_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        Loader(numbered(3), **settings)


def test_split_takes_parts_in_order():
    parts = split(numbered(10), {"train": 6, "valid": 3})
    assert parts["train"].batch(range(6)).x[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert parts["valid"].batch(range(3)).x[:, 0, 0].tolist() == [6, 7, 8]


def test_shuffled_split_is_disjoint_and_repeatable():
    dataset = numbered(20)
    one, two = (split(dataset, {"a": 12, "b": 8}, seed=5) for _ in range(2))
    values = {name: part.batch(range(len(part))).x[:, 0, 0].tolist() for name, part in one.items()}
    assert sorted(values["a"] + values["b"]) == list(range(20))
    assert values["a"] != list(range(12))
    assert torch.equal(two["a"].batch(range(12)).x, one["a"].batch(range(12)).x)


@pytest.mark.parametrize("sizes", [{"train": 8, "valid": 3}, {"train": 0, "valid": 3}])
def test_impossible_split_names_both_numbers(sizes):
    with pytest.raises(SplitError, match=rf"need {sum(sizes.values())} samples.*at most 10"):
        split(numbered(10), sizes)
