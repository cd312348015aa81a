"""Parts of a set that were made apart: which samples a file holds, and whether all are there.

Files of a split that say so are put in the order of their samples. Nothing is copied or linked: a
set of several files is a folder, and its data hash is that of the samples in their order.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from . import schema
from .errors import IncompleteFileError, SchemaError
from .hashing import data_hash
from .header import Header

_SPLIT, _FIRST, _PLANNED = "split", "first_sample", "planned_samples"


@dataclass(frozen=True)
class Part:
    """What a file holds of its set.

    Args:
        split: "train", "valid" or "test".
        first: number of its first sample in the split.
        samples: how many it holds.
        planned: samples of each split of the whole set.
    """

    split: str
    first: int
    samples: int
    planned: Mapping[str, int]

    @property
    def stop(self) -> int:
        """Number of the sample after its last one."""
        return self.first + self.samples

    def as_provenance(self) -> dict[str, Any]:
        """Root attributes of the file, from which `part_of` reads it back."""
        return {_SPLIT: self.split, _FIRST: self.first, _PLANNED: dict(self.planned)}


def part_of(header: Header) -> Part | None:
    """Return what a file says it holds of its set, None if it says nothing (converted files)."""
    told = header.provenance
    if not {_SPLIT, _FIRST, _PLANNED} <= told.keys():
        return None
    planned = json.loads(told[_PLANNED])
    return Part(str(told[_SPLIT]), int(told[_FIRST]), len(header.records.seed), planned)


def ordered(headers: Sequence[Header], *, allow_partial: bool = False) -> list[Header]:
    """Return the files of one split in the order of their samples.

    Args:
        headers: of the files, in any order; they stay in it if one says nothing of its part.
        allow_partial: some samples may be missing.

    Raises:
        IncompleteFileError: samples are missing, and allow_partial is False.
        SchemaError: a sample is in two files, or the files are of different plans.
    """
    parts = [part_of(header) for header in headers]
    known = [part for part in parts if part is not None]
    if len(known) < len(headers) or not known:
        return list(headers)
    place = {id(header): part.first for header, part in zip(headers, known, strict=True)}
    _check_plans(headers, known)
    if not allow_partial and (gaps := list(_gaps(known))):
        raise IncompleteFileError(
            f"{known[0].split} lacks samples {_told(gaps)} of {known[0].planned[known[0].split]}",
            file=headers[0].file.parent,
            advice="run the other shards of the same `pdesolve generate ...` command, or bring "
            "their files here",
        )
    return sorted(headers, key=lambda header: place[id(header)])


def missing(headers: Mapping[Path, Header]) -> list[str]:
    """Return which samples a folder of files still lacks, one line a split.

    Args:
        headers: of all files of a set, by path; files that say nothing of their part are whole.

    Raises:
        SchemaError: a sample is in two files, or the files are of different plans.
    """
    found = {header: part for header in headers.values() if (part := part_of(header)) is not None}
    if not found:
        return []
    _check_plans(list(found), list(found.values()))
    lines = []
    for split, samples in next(iter(found.values())).planned.items():
        there = [part for part in found.values() if part.split == split]
        gaps = list(_gaps(there)) if there else [range(samples)]
        if gaps:
            lines.append(f"{split} lacks samples {_told(gaps)} of {samples}")
    return lines


def joined_hash(headers: Sequence[Header]) -> str:
    """Return the data hash of files that follow each other, that of one file with all samples."""
    first = headers[0]
    records = schema.Records.joined([h.records.rows(h.written) for h in headers])
    return data_hash(first.spec, records, np.arange(len(records.seed)), joined_fixed(headers))


def joined_fixed(headers: Sequence[Header]) -> dict[str, np.ndarray]:
    """Return what is stored once; a mask for each sample is cut to those that may be used."""
    fixed = dict(headers[0].fixed)
    if schema.MASK in fixed and fixed[schema.MASK].ndim > headers[0].spec.grid.dims:
        fixed[schema.MASK] = np.concatenate([h.fixed[schema.MASK][h.written] for h in headers])
    return fixed


def _check_plans(headers: Sequence[Header], parts: Sequence[Part]) -> None:
    for header, part in zip(headers, parts, strict=True):
        if part.planned != parts[0].planned:
            raise SchemaError(
                f"a part of {dict(part.planned)} samples",
                file=header.file,
                allowed=f"{dict(parts[0].planned)} as in {headers[0].file.name}",
                advice="keep the files of one `pdesolve generate ...` command in a folder",
            )
    inside = sorted(zip(parts, headers, strict=True), key=lambda one: (one[0].split, one[0].first))
    for (before, one), (after, other) in pairwise(inside):
        if before.split == after.split and after.first < before.stop:
            last = min(before.stop, after.stop) - 1
            raise SchemaError(
                f"samples {after.first} to {last} of {after.split} are in {one.file.name} too",
                file=other.file,
                advice="shards k/n of one n belong together: delete those of another",
            )


def _gaps(parts: Sequence[Part]) -> Iterator[range]:
    reached = 0
    for part in sorted(parts, key=lambda one: one.first):
        if part.first > reached:
            yield range(reached, part.first)
        reached = part.stop
    if reached < (whole := parts[0].planned[parts[0].split]):
        yield range(reached, whole)


def _told(gaps: Sequence[range]) -> str:
    return ", ".join(f"{gap.start} to {gap.stop - 1}" for gap in gaps)
