import pytest

from pdesolve.cli.failures import UsageError
from pdesolve.cli.shard import Shard


@pytest.mark.parametrize("of", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(("samples", "block"), [(500, 16), (1, 16), (17, 16), (33, 4)])
def test_shards_together_hold_every_sample_once_in_whole_blocks(of, samples, block):
    blocks = [b for k in range(1, of + 1) for b in Shard(k, of).blocks(samples, block)]
    assert [i for b in blocks for i in b] == list(range(samples))
    assert all(b.start % block == 0 and len(b) <= block for b in blocks)


def test_shards_differ_by_one_block_at_most():
    counts = [len(Shard(k, 7).blocks(1020, 16)) for k in range(1, 8)]
    assert max(counts) - min(counts) == 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "-1/2", "a/b", "1/0", "1/2/3", ""])
def test_another_spelling_is_refused(text):
    with pytest.raises(UsageError, match="expected k/n with k from 1 to n"):
        Shard.parse(text)


def test_names_are_in_the_order_of_the_shards():
    names = [Shard(k, 11).file_name("darcy") for k in range(1, 12)]
    assert names == sorted(names)
    assert Shard.parse("2/11").file_name("darcy") == names[1] == "darcy-02-of-11.h5"
