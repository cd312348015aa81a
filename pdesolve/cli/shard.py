"""A part of a set that one machine makes, without a word to the others."""

from dataclasses import dataclass

from .failures import UsageError


@dataclass(frozen=True)
class Shard:
    """Part k of n of a set, 1 <= k <= n, in whole blocks."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read "k/n".

        Raises:
            UsageError: it is not of that form.
        """
        number, _, of = str(text).partition("/")
        if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
            return cls(int(number), int(of))
        raise UsageError(
            f"shard is {text!r}, expected k/n with k from 1 to n: 1/4, 2/4, 3/4 and 4/4 together "
            "make the set of 1/1"
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def blocks(self, samples: int, block: int) -> list[range]:
        """Return the blocks of sample indices that fall to this shard; together they are all.

        >>> [Shard(k, 2).blocks(10, 4) for k in (1, 2)]
        [[range(0, 4)], [range(4, 8), range(8, 10)]]
        """
        blocks = [range(i, min(i + block, samples)) for i in range(0, samples, block)]
        first, stop = (len(blocks) * k // self.of for k in (self.number - 1, self.number))
        return blocks[first:stop]

    def file_name(self, name: str) -> str:
        """Return the name of its files, whose alphabetic order is that of the shards.

        >>> Shard(1, 1).file_name("darcy"), Shard(3, 12).file_name("darcy")
        ('darcy.h5', 'darcy-03-of-12.h5')
        """
        if self.of == 1:
            return f"{name}.h5"
        return f"{name}-{self.number:0{len(str(self.of))}}-of-{self.of}.h5"
