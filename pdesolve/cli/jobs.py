"""The files that `pdesolve generate` writes: what each holds, and what may lie there already."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .failures import UsageError
from .recipe import Recipe
from .shard import Shard

# In this order for good: the position of a split is part of the seed of its samples.
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Job:
    """One file to write: which samples, how they are made, and what the file says of them."""

    path: Path
    part: Any
    recipe: Recipe
    spec: Any
    provenance: Mapping[str, Any]
    blocks: Sequence[range]

    @property
    def mask(self) -> str | None:
        """Name of the input that tells where each sample's domain is."""
        return "mask" if "mask" in self.recipe.equation.inputs else None

    def writer(self) -> Any:
        """Return a writer that goes on where another one stopped."""
        from ..datasets.writer import DatasetWriter

        return DatasetWriter(
            self.path,
            self.spec,
            self.part.samples,
            provenance=self.provenance,
            mask=self.mask,
            resume=True,
        )

    def figures(self) -> dict[str, float]:
        """Return what the finished file says of its samples."""
        import numpy as np

        from ..datasets.header import Header

        records, split = Header(self.path).records, self.part.split
        # Of a file whose solvers all failed there is no largest residual.
        residuals = records.residual[records.written]
        return {
            f"{split}/samples": len(residuals),
            f"{split}/rejected": len(records.seed) - len(residuals),
            f"{split}/residual": float(np.max(residuals, initial=0.0)),
        }

    def refuse_other_files(self) -> None:
        """Raise UsageError if files are there that hold something else than is asked for."""
        from ..datasets.header import Header
        from ..datasets.shards import part_of

        for other in sorted(self.path.parent.glob("*.h5")):
            found = Header(other).usable()
            if other == self.path:
                self._check_same(found)
                continue
            part = part_of(found)
            apart = part is not None and (
                part.stop <= self.part.first or part.first >= self.part.stop
            )
            if part is None or part.planned != self.part.planned or not apart:
                told = part or "no part of a set"
                raise UsageError(
                    f"{other} is there ({told}), so {self.path.name} would not fit ({self.part}): "
                    "remove it, or write elsewhere with dataset.path=FOLDER"
                )

    def _check_same(self, found: Any) -> None:
        indices = range(self.part.first, self.part.stop)
        same = {
            "samples": (len(found.records.seed), self.part.samples),
            "grid": (found.spec.grid, self.spec.grid),
            "equation": (found.spec.equation, self.spec.equation),
            "equation parameters": (
                found.spec.equation_parameters,
                self.spec.equation_parameters,
            ),
            "seeds": (found.records.seed.tolist(), [self.recipe.seed_of(i) for i in indices]),
        }
        for name, (there, asked) in same.items():
            if there != asked:
                shown = "" if name == "seeds" else f" ({there}, not {asked})"
                raise UsageError(
                    f"{self.path} is complete and holds other {name} than asked for{shown}: "
                    "remove it, or write elsewhere with dataset.path=FOLDER"
                )


def planned(dataset: Any, shard: Shard, config: Any) -> list[Job]:
    """Return the files that a shard writes; it has none of a split with fewer blocks than shards.

    Raises:
        UsageError: the config asks for what cannot be generated.
    """
    from ..datasets.shards import Part
    from .build import build

    equation = build(dataset.get("equation"), allow=config.allow)
    if equation is None:
        raise UsageError(
            f"dataset {dataset.name} has no equation, so it cannot be generated: it is made with "
            "`pdesolve data convert`; see the first lines of its YAML"
        )
    equation = replace(equation, **(dataset.get("replace") or {}))
    for name in ("block", "workers"):
        if config[name] < 1:
            raise UsageError(f"{name} is {config[name]}, expected at least 1")
    samples = {split: dataset.samples[split] for split in SPLITS if split in dataset.samples}
    if len(samples) < len(dataset.samples) or min(samples.values(), default=0) < 1:
        raise UsageError(
            f"dataset.samples is {dict(dataset.samples)}, expected at least one sample for some "
            f"of {SPLITS}"
        )
    grid = build(dataset.grid)
    jobs = []
    for split, count in samples.items():
        blocks = shard.blocks(count, config.block)
        if blocks:
            first = blocks[0].start
            part = Part(split, first, blocks[-1].stop - first, samples)
            jobs.append(
                Job(
                    Path(dataset.path) / "data" / split / shard.file_name(dataset.name),
                    part,
                    Recipe(equation, grid, dataset.seed, SPLITS.index(split)),
                    _spec(dataset.name, equation, grid),
                    _provenance(dataset, equation, config) | part.as_provenance(),
                    blocks,
                )
            )
    return jobs


def _spec(name: str, equation: Any, grid: Any) -> Any:
    from ..datasets.schema import DatasetSpec, FieldSpec

    fields = [FieldSpec(n, "input", equation.units[n]) for n in equation.inputs]
    fields += [
        FieldSpec(n, "output", equation.units[n], time_varying=True) for n in equation.outputs
    ]
    return DatasetSpec(
        name,
        grid,
        tuple(fields),
        times=getattr(equation, "times", (0.0,)),
        equation=type(equation).__name__,
        equation_parameters=asdict(equation),
        parameters=getattr(equation, "parameters", ()),
    )


def _provenance(dataset: Any, equation: Any, config: Any) -> dict[str, Any]:
    from ..version import __version__

    return {
        "generator": "pdesolve generate",
        "generator_version": __version__,
        "seed": dataset.seed,
        "equation_text": (type(equation).__doc__ or "").strip().partition("\n")[0],
        "block": config.block,
    }
