"""One row per operator: how to build a tiny one and what to feed it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from pdesolve import Grid
from pdesolve.operators import MGTFNO, TFNO


@dataclass(frozen=True)
class Case:
    """A tiny operator for the contract tests.

    Args:
        name: shown in the test's name.
        build: makes the operator, drawing from torch's random numbers.
        in_channels: channels of its input.
        out_channels: channels of its output.
        shapes: grids that it must take; the first is the usual one, one is not square.
        condition_dim: parameters of a sample that it takes; 0: it must refuse a condition.
    """

    name: str
    build: Callable[[], nn.Module]
    in_channels: int
    out_channels: int
    shapes: tuple[tuple[int, ...], ...]
    condition_dim: int = 0


WALLS = Grid((12, 12), (1.0, 2.0), periodic=False, offset=0.01)
PLANE = Case(
    name="TFNO dense",
    build=lambda: TFNO(2, 1, (6, 6), 6, 2),
    in_channels=2,
    out_channels=1,
    shapes=((12, 12), (9, 14), (5, 4)),
)

CASES = (
    PLANE,
    replace(
        PLANE,
        name="TFNO Tucker in a box",
        build=lambda: TFNO(
            2, 1, (6, 6), 6, 2, 0.2, domain=WALLS, wall_factor=True, domain_padding=(0.2, 0.1),
            norm="layer", preactivation=True,
        ),
    ),
    Case(
        name="TFNO line",
        build=lambda: TFNO(1, 2, (8,), 6, 2, 0.3, skip="soft-gating", norm="instance"),
        in_channels=1,
        out_channels=2,
        shapes=((16,), (9,), (6,)),
    ),
    Case(
        name="TFNO space",
        build=lambda: TFNO(1, 1, (4, 4, 4), 4, 2, separable=True, mlp_expansion=0.0),
        in_channels=1,
        out_channels=1,
        shapes=((6, 6, 6), (5, 7, 4)),
    ),
    Case(
        name="MGTFNO plane",
        build=lambda: MGTFNO(2, 1, (4, 4), 6, 2, 0.2, levels=1, padding=(0.1, 0.0)),
        in_channels=2,
        out_channels=1,
        shapes=((12, 12), (10, 14)),
    ),
    Case(
        name="MGTFNO line in chunks",
        build=lambda: MGTFNO(
            1, 2, (4,), 6, 2, levels=2, padding=0.1, boundary="replicate", patch_chunk=3,
            domain=Grid((16,), 1.0, periodic=False), wall_factor=True,
        ),
        in_channels=1,
        out_channels=2,
        shapes=((16,), (20,)),
    ),
)  # fmt: skip
