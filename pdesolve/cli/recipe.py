"""How the samples of a split are made, so that every process of every machine makes the same."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The equation, the grid and the seeds of one split.

    Args:
        equation: of `pdesolve.pde` or a user's own.
        grid: where its fields are stored.
        seed: of the dataset.
        split: position of the split, which is part of its samples' seeds.
    """

    equation: Any
    grid: Any
    seed: int
    split: int

    def seed_of(self, index: int) -> int:
        """Return the seed of one sample, which depends on nothing else."""
        return sample_seed(self.seed, self.split, index)

    def samples(self, indices: range) -> list[dict[str, Any]]:
        """Solve a block of samples side by side, by one thread.

        Batched sums round differently in another company, and with another number of threads.

        Returns:
            what `DatasetWriter.write` takes beside the index, for each sample.
        """
        import torch

        seeds = [self.seed_of(index) for index in indices]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        started = time.perf_counter()
        with one_thread():
            inputs = self.equation.random_inputs(self.grid, generators)
            solution = self.equation.solve(**inputs, grid=self.grid, raise_on_failure=False)
        seconds = (time.perf_counter() - started) / len(indices)
        return [
            {
                "fields": self._fields(inputs, solution, row),
                "seed": seed,
                "residual": float(solution.stats["residual"][row]),
                "parameters": {name: float(inputs[name][row]) for name in self.parameters},
                "seconds": seconds,
                "rejected": not bool(solution.converged[row]),
            }
            for row, seed in enumerate(seeds)
        ]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the random numbers, not fields, that the equation draws for each sample."""
        return getattr(self.equation, "parameters", ())

    def _fields(self, inputs: dict[str, Any], solution: Any, row: int) -> dict[str, Any]:
        fields = {name: inputs[name][row] for name in self.equation.inputs}
        fields |= dict(zip(self.equation.outputs, solution.value[row], strict=True))
        # In the type of the file, so that a worker sends no digit that is not stored.
        return {name: field.float().cpu().numpy() for name, field in fields.items()}


def sample_seed(seed: int, split: int, index: int) -> int:
    """Return the seed of one sample; different splits never share one (63 bits of a hash)."""
    from numpy.random import SeedSequence

    return int(SeedSequence((seed, split, index)).generate_state(1, "uint64")[0] >> 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, and give it back those that it had."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
