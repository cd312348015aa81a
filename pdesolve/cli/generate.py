"""`pdesolve generate dataset=NAME`: an equation's reference solver fills a dataset."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import application

# In this order for good: the position of a split is part of the seed of its samples.
SPLITS = ("train", "valid", "test")


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("generate", generate, arguments)


def generate(config: Any, folder: Path) -> dict[str, float]:
    """Write every split of `config.dataset` that is not complete, and a picture of samples.

    A killed run goes on where it stopped: samples on disk whose hash is right are kept, and each
    sample's random numbers depend on the dataset's seed, the split and its index alone.
    """
    from ..datasets.manifest import write_manifest
    from .build import build
    from .failures import UsageError

    dataset = config.dataset
    equation = build(dataset.get("equation"), allow=config.allow)
    if equation is None:
        raise UsageError(
            f"dataset {dataset.name} has no equation, so it cannot be generated: it is made with "
            "`pdesolve data convert`; see the first lines of its YAML"
        )
    if config.block < 1:
        raise UsageError(f"block is {config.block}, expected at least 1 sample side by side")
    if not set(dataset.samples) <= set(SPLITS):
        raise UsageError(f"dataset.samples has {list(dataset.samples)}, expected some of {SPLITS}")
    grid = build(dataset.grid)
    started, made = time.perf_counter(), 0
    metrics: dict[str, float] = {}
    paths = {split: Path(dataset.path) / f"data/{split}/{dataset.name}.h5" for split in SPLITS}
    for split, samples in dataset.samples.items():
        seeds = (dataset.seed, SPLITS.index(split))
        filler = Filler(equation, grid, paths[split], samples, seeds, config)
        made += filler.fill()
        metrics |= {f"{split}/samples": samples, f"{split}/residual": filler.largest_residual}
    write_manifest(Path(dataset.path))
    seconds = time.perf_counter() - started
    metrics |= {"seconds": seconds, "samples_per_second": made / seconds}
    _draw(next(paths[split] for split in dataset.samples), folder)
    print(f"data: {application.relative(Path(dataset.path))}")
    return metrics


class Filler:
    """Fills one file of a dataset, block by block.

    A block is a fixed range of sample indices solved side by side. An interrupted block is solved
    again whole, so that every sample is always computed in the same company: batched sums round
    differently in another one.
    """

    def __init__(
        self,
        equation: Any,
        grid: Any,
        path: Path,
        samples: int,
        seeds: tuple[int, int],
        config: Any,
    ):
        self.equation, self.grid, self.path, self.samples = equation, grid, path, samples
        self.seeds, self.block, self.config = seeds, config.block, config
        self.dataset = config.dataset
        # Random numbers, not fields, that an equation draws for each sample.
        self.parameters = getattr(equation, "parameters", ())
        self.largest_residual = 0.0

    def fill(self) -> int:
        """Write the missing samples and return how many were made."""
        from ..datasets.writer import DatasetWriter
        from .failures import Stopped
        from .progress import bar
        from .signals import stopping

        if self.path.exists():
            self._check_existing()
            return 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = 0
        with (
            stopping() as stopped,
            DatasetWriter(
                self.path, self._spec(), self.samples, provenance=self._provenance(), resume=True
            ) as writer,
            bar(self.config) as progress,
        ):
            task = progress.add_task(self.path.parent.name, total=self.samples)
            for first in range(0, self.samples, self.block):
                indices = range(first, min(first + self.block, self.samples))
                if not set(indices) <= set(writer.written):
                    self._solve_block(writer, indices)
                    made += len(indices)
                if stopped:
                    raise Stopped(stopped[0], self._resume_hint(indices.stop))
                progress.update(task, completed=indices.stop)
            writer.finish()
        return made

    def _resume_hint(self, done: int) -> str:
        split = self.path.parent.name
        again = application.command()
        return f"stopped after {done} of {self.samples} {split} samples; go on with `{again}`"

    def _solve_block(self, writer: Any, indices: range) -> None:
        import torch

        seeds = [sample_seed(*self.seeds, index) for index in indices]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        started = time.perf_counter()
        inputs = self.equation.random_inputs(self.grid, generators)
        solution = self.equation.solve(**inputs, grid=self.grid, raise_on_failure=False)
        seconds = (time.perf_counter() - started) / len(indices)
        residual = solution.stats["residual"]
        self.largest_residual = max(self.largest_residual, float(residual.max()))
        for row, index in enumerate(indices):
            fields = {name: inputs[name][row].cpu().numpy() for name in self.equation.inputs}
            parameters = {name: float(inputs[name][row]) for name in self.parameters}
            for channel, name in enumerate(self.equation.outputs):
                fields[name] = solution.value[row, channel].cpu().numpy()
            writer.write(
                index,
                fields,
                seed=seeds[row],
                residual=float(residual[row]),
                parameters=parameters,
                seconds=seconds,
                rejected=not bool(solution.converged[row]),
            )

    def _spec(self) -> Any:
        from dataclasses import asdict

        from ..datasets.schema import DatasetSpec, FieldSpec

        equation = self.equation
        fields = [FieldSpec(n, "input", equation.units[n]) for n in equation.inputs]
        fields += [
            FieldSpec(n, "output", equation.units[n], time_varying=True) for n in equation.outputs
        ]
        return DatasetSpec(
            self.dataset.name,
            self.grid,
            tuple(fields),
            times=getattr(equation, "times", (0.0,)),
            equation=type(equation).__name__,
            equation_parameters=asdict(equation),
            parameters=self.parameters,
        )

    def _provenance(self) -> dict[str, Any]:
        from ..version import __version__

        return {
            "generator": "pdesolve generate",
            "generator_version": __version__,
            "seed": self.dataset.seed,
            "equation_text": (type(self.equation).__doc__ or "").strip().partition("\n")[0],
            "block": self.block,
        }

    def _check_existing(self) -> None:
        from ..datasets.reader import open_dataset
        from ..datasets.verify import inspect
        from .failures import UsageError

        found, spec = open_dataset(self.path, in_memory=False), self._spec()
        seeds = {sample_seed(*self.seeds, index) for index in range(self.samples)}
        same = {
            "samples": (inspect(self.path)["samples"], self.samples),
            "grid": (found.grid, spec.grid),
            "equation": (found.equation, spec.equation),
            "equation parameters": (found.equation_parameters, spec.equation_parameters),
            # Rejected samples are stored but not found.
            "seeds": (set(found.seeds) - seeds, set()),
        }
        for name, (there, asked) in same.items():
            if there != asked:
                shown = "" if name == "seeds" else f" ({there}, not {asked})"
                raise UsageError(
                    f"{self.path} is complete and holds other {name} than asked for{shown}: "
                    "remove it, or write elsewhere with dataset.path=FOLDER"
                )


def sample_seed(seed: int, split: int, index: int) -> int:
    """Return the seed of one sample; different splits never share one (63 bits of a hash)."""
    from numpy.random import SeedSequence

    return int(SeedSequence((seed, split, index)).generate_state(1, "uint64")[0] >> 1)


def _draw(path: Path, folder: Path) -> None:
    from ..datasets.reader import open_dataset
    from ..datasets.windows import AtTimes
    from ..evaluation.pictures import draw_samples

    opened = open_dataset(path, in_memory=False)
    # Beside the input four times can be told apart: the first, the last and two between.
    last = len(opened.times) - 1
    opened = opened.windowed(AtTimes(sorted({last * k // 3 for k in range(4)})))
    draw_samples(folder / "samples.png", opened.batch(range(min(3, len(opened)))), opened)
