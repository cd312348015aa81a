"""`pdesolve generate dataset=NAME`: an equation's reference solver fills a dataset."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import application
from .failures import Stopped
from .jobs import Job, planned
from .shard import Shard
from .thumbnail import draw


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("generate", generate, arguments)


def generate(config: Any, folder: Path) -> dict[str, float]:
    """Write what `config.shard` holds of `config.dataset`, and a picture of samples.

    A killed run goes on where it stopped: samples on disk whose hash is right are kept. A sample
    depends on the dataset's seed, the split, its number and its block alone, so workers and shards
    change nothing. Whichever shard is finished last writes the set's manifest.
    """
    dataset, shard = config.dataset, Shard.parse(config.shard)
    jobs = planned(dataset, shard, config)
    for job in jobs:
        job.refuse_other_files()
    started = time.perf_counter()
    made = fill(jobs, config)
    seconds = time.perf_counter() - started
    metrics = {"seconds": seconds, "samples_per_second": made / seconds}
    for job in jobs:
        metrics |= job.figures()
    if jobs:
        draw(jobs[0].path, folder / "samples.png")
    print(join(Path(dataset.path), shard, len(jobs)))
    return metrics


def fill(jobs: Sequence[Job], config: Any) -> int:
    """Write the samples that are missing and return how many were made.

    Raises:
        Stopped: a signal came; all blocks that were done are on disk.
        ChildProcessError: a worker died.
    """
    from .progress import bar
    from .signals import stopping
    from .workers import Task, solved

    with ExitStack() as stack:
        stopped = stack.enter_context(stopping())
        # A file that is finished already has no writer.
        writers = {
            i: stack.enter_context(job.writer())
            for i, job in enumerate(jobs)
            if not job.path.exists()
        }
        progress = stack.enter_context(bar(config))
        tasks, bars = [], {}
        for i, writer in writers.items():
            job, done = jobs[i], writer.written
            bars[i] = progress.add_task(job.part.split, total=job.part.samples, completed=len(done))
            rows = {block: {index - job.part.first for index in block} for block in job.blocks}
            tasks += [Task(i, job.recipe, block) for block in job.blocks if rows[block] - done]
            if len(done) == job.part.samples:
                writer.finish()
        made = 0
        try:
            for task, samples in solved(tasks, config.workers, stopped):
                writer, first = writers[task.file], jobs[task.file].part.first
                for index, sample in zip(task.indices, samples, strict=True):
                    writer.write(index - first, **sample)
                made += len(samples)
                progress.update(bars[task.file], completed=len(writer.written))
                if len(writer.written) == writer.samples:
                    writer.finish()
        except ChildProcessError as error:
            again = f"{_kept(writers)}; go on with `{application.command()}`"
            raise ChildProcessError(f"{error}: {again}, with fewer workers if need be") from error
        if stopped:
            raise Stopped(
                stopped[0],
                f"stopped after {_kept(writers)}; go on with `{application.command()}`",
            )
    return made


def join(folder: Path, shard: Shard, files: int) -> str:
    """Write the manifest if all shards are there; return a line that tells of the set."""
    from ..datasets.errors import IncompleteFileError, SplitError
    from ..datasets.manifest import write_manifest

    try:
        write_manifest(folder)
    except (IncompleteFileError, SplitError) as error:
        if shard.of == 1:
            raise
        told = f"shard {shard} is done" if files else f"shard {shard} has no block of samples"
        return f"{told}; the set is not yet whole: {error}"
    return f"data: {application.relative(folder)}"


def _kept(writers: Mapping[int, Any]) -> str:
    """Say how far each file is."""
    return ", ".join(
        f"{len(writer.written)} of {writer.samples} {writer.path.parent.name} samples"
        for writer in writers.values()
    )
