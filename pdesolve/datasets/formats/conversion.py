"""How samples of any foreign layout become files of this one: block by block, split by split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NonFiniteError, SchemaError, SplitError
from ..manifest import file_sha256, write_manifest
from ..schema import NO_SEED
from ..spec import DatasetSpec
from ..writer import DatasetWriter

# What one read of a source may take; a single sample may take more.
BLOCK_BYTES = 64 * 2**20
# HDF5's limit for one chunk.
CHUNK_BYTES = 2**32 - 1


@dataclass(frozen=True)
class Samples:
    """Samples of one source.

    Args:
        spec: what they hold.
        count: how many there are.
        dtype: of the stored arrays; what is not float64 becomes float32 without loss.
        read: a slice of samples -> fields and parameters by name, the samples first.
        provenance: becomes root attributes (see `provenance`).
        constants: arrays of the fields that do not vary from sample to sample.
        mask: the field that is each sample's mask, if one is; see `DatasetWriter`.
    """

    spec: DatasetSpec
    count: int
    dtype: np.dtype
    read: Callable[[slice], Mapping[str, np.ndarray]]
    provenance: Mapping[str, Any]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    mask: str | None = None


@dataclass(frozen=True)
class Part:
    """The samples of a source that one file of one split holds.

    Args:
        split: "train", "valid" or "test".
        stem: name of the file without .h5.
        samples: where they come from.
        rows: which of them.
    """

    split: str
    stem: str
    samples: Samples
    rows: range


def write_set(folder: Path, parts: Sequence[Part]) -> list[Path]:
    """Write folder/data/SPLIT/STEM.h5 for each part that has samples, then the manifest.

    A sample with NaN or infinity is kept as rejected: it is stored, `verify` lists it, and nobody
    trains on it.

    Raises:
        SplitError: there is no sample, or one is in two splits.
        NonFiniteError: no sample of a part is finite.
        ExistingFileError: a file is there already.
    """
    filled = [part for part in parts if len(part.rows)]
    if not filled:
        raise SplitError("no sample", file=folder, allowed="at least one")
    written = [_write(part, folder / "data" / part.split / f"{part.stem}.h5") for part in filled]
    write_manifest(folder)
    return written


def stems(folder: Path, sources: int) -> list[str]:
    """File names of the sources' samples: the folder's name, numbered if there are several."""
    if sources == 1:
        return [folder.name]
    return [f"{folder.name}_{number:0{len(str(sources - 1))}}" for number in range(sources)]


def provenance(sources: Sequence[Path], **facts: Any) -> dict[str, Any]:
    """Where converted data come from: names and SHA-256 of the sources, and what is known."""
    names, hashes = [path.name for path in sources], [file_sha256(path) for path in sources]
    one = len(sources) == 1
    return {
        "generator": "pdesolve data convert",
        "source": names[0] if one else names,
        "source_sha256": hashes[0] if one else hashes,
        **facts,
    }


def stored_dtype(*dtypes: np.dtype) -> np.dtype:
    """The smaller of float32 and float64 that holds all of these without loss (int64 to 2^53)."""
    common = np.result_type(np.float32, *dtypes)
    return np.dtype(np.float32 if common == np.float32 else np.float64)


def shared_and_varying(
    values: Sequence[Mapping[str, float]], *, files: Sequence[Path]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Parameters that all sources share, and the names of those that differ between them.

    The second kind becomes each sample's condition; the first stays out of it, so that operators
    without a condition learn from the set.

    Raises:
        SchemaError: sources name different parameters.
    """
    first = values[0]
    for file, other in zip(files, values, strict=True):
        if set(other) != set(first):
            raise SchemaError(
                f"parameters {sorted(other)}", file=file, allowed=f"{sorted(first)} as in the first"
            )
    varying = tuple(name for name in first if len({one[name] for one in values}) > 1)
    return {name: value for name, value in first.items() if name not in varying}, varying


def check_alike(files: Sequence[Path], samples: Sequence[Samples]) -> None:
    """Check that several sources fit into one set.

    Raises:
        SchemaError: they do not; all differences are listed.
    """
    for file, one in zip(files, samples, strict=True):
        wrong = one.spec.differences(samples[0].spec)
        if one.dtype != samples[0].dtype:
            wrong.append(f"dtype is {one.dtype} here and {samples[0].dtype} there")
        if wrong:
            raise SchemaError(
                "; ".join(wrong),
                file=file,
                allowed=f"as in {files[0].name}",
                advice="convert each equation and each grid into its own folder",
            )


def _write(part: Part, target: Path) -> Path:
    samples, rows, spec = part.samples, part.rows, part.samples.spec
    sizes = [int(np.prod(spec.stored_shape(one))) * samples.dtype.itemsize for one in spec.varying]
    block = max(1, BLOCK_BYTES // max(1, sum(sizes)))
    finite = 0
    with DatasetWriter(
        target,
        spec,
        len(rows),
        provenance=samples.provenance,
        constants=samples.constants,
        mask=samples.mask,
        layout="contiguous" if max(sizes) > CHUNK_BYTES else "chunked",
        dtype="float32" if samples.dtype == np.float32 else "float64",
        resume=True,
    ) as writer:
        for start in range(0, len(rows), block):
            wanted = rows[start : start + block]
            values = samples.read(slice(wanted[0], wanted[-1] + 1))
            for offset in range(len(wanted)):
                one = {name: array[offset] for name, array in values.items()}
                finite += _write_sample(writer, start + offset, one)
        if not finite:
            raise NonFiniteError(
                f"none of {len(rows)} samples is finite", file=target, advice="fetch it again"
            )
        return writer.finish()


def _write_sample(writer: DatasetWriter, index: int, values: Mapping[str, Any]) -> bool:
    """Write a sample unless it is there; return whether it is finite."""
    whole = all(np.isfinite(array).all() for array in values.values())
    if index not in writer.written:
        names = writer.spec.parameters
        writer.write(
            index,
            {name: array for name, array in values.items() if name not in names},
            seed=NO_SEED,
            parameters={name: float(values[name]) for name in names},
            rejected=not whole,
        )
    return whole
