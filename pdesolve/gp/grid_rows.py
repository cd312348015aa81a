"""What is known of a solution on a grid, as rows for the coefficients of products of functions.

Rows whose coefficients are constant are products too. They are turned, axis by axis, into as many
as the functions reach; what is left of the data are noise alone, and is kept as such.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply
from .expansion import Expansion
from .posterior import Rows, Unreached
from .problem import Problem
from .product_basis import ProductBasis
from .spectrum import svd

# Combinations of rows below this share of the largest are rounding.
_RANK = 1e-14
# Numbers in a block of rows that is brought to triangular form at a time.
_BLOCK = 2**22


def equation_rows(
    problem: Problem,
    basis: ProductBasis,
    noise: float,
    at: Tensor | None = None,
    values: Tensor | None = None,
) -> Rows:
    """Return the linearised equation at the nodes, as few rows as say the same.

    Args:
        problem: of any number of axes.
        basis: functions of the coefficients.
        noise: standard deviation of the source.
        at: core where a nonlinear equation is linearised; None is zero.
        values: added to the source at the nodes.
    """
    if problem.constant:
        return _constant_rows(problem, basis, noise, values)
    return _varying_rows(problem, basis, noise, at, values)


def _constant_rows(
    problem: Problem, basis: ProductBasis, noise: float, values: Tensor | None
) -> Rows:
    orders = problem.jet.orders
    nodes = problem.nodes
    factors = [
        {n: b(x, n) for n in {o[j] for o in orders}}
        for j, (b, x) in enumerate(zip(basis.bases, nodes, strict=True))
    ]
    turns = [_range(list(own.values())).T for own in factors]
    turned = [{n: t @ e for n, e in own.items()} for t, own in zip(turns, factors, strict=True)]
    matrix = sum(
        c * _product([own[n] for own, n in zip(turned, o, strict=True)])
        for o, c in problem.symbol.items()
    )
    source = problem.source(nodes) + (0.0 if values is None else values)
    data = apply(turns, source)
    count = source.numel() - data.numel()
    # The part outside, not a difference of squares, which would be rounding where it is small.
    outside = source - apply([t.T for t in turns], data)
    rest = Unreached(count, float(outside.norm()) if count else 0.0, noise)
    flat = data.flatten()
    return Rows(matrix + torch.zeros_like(flat)[:, None], flat, torch.full_like(flat, noise), rest)


def _varying_rows(
    problem: Problem, basis: ProductBasis, noise: float, at: Tensor | None, values: Tensor | None
) -> Rows:
    nodes, orders = problem.nodes, problem.jet.orders
    shape = [b(x[:1]).shape[1] for b, x in zip(basis.bases, nodes, strict=True)]
    columns = math.prod(shape)
    core = torch.zeros(columns).to(nodes[0]) if at is None else at.flatten()
    expansion = Expansion(basis.bases, core.reshape(shape))
    triangle = core.new_zeros(0, columns + 1)
    per_slice = math.prod(len(x) for x in nodes[1:]) * columns
    size = max(1, _BLOCK // per_slice)
    for first in range(0, len(nodes[0]), size):
        block = [nodes[0][first : first + size], *nodes[1:]]
        known = problem.known(block)
        jet = torch.stack([expansion(block, o) for o in orders])
        slopes = problem.jet.linearised(jet, known).flatten(1)
        rows = sum(s[:, None] * basis(block, o) for s, o in zip(slopes, orders, strict=True))
        data = (slopes * jet.flatten(1)).sum(0) - problem.jet.value(jet, known).flatten()
        if values is not None:
            data = data + values[first : first + size].flatten()
        stacked = torch.cat([triangle, torch.cat([rows, data[:, None]], 1)])  # pyright: ignore
        triangle = torch.linalg.qr(stacked, mode="r")[1]
    kept = triangle[:columns]
    # The last row has no coefficient: its data are the norm of what none of them reaches.
    left = float(triangle[columns, columns].abs()) if len(triangle) > columns else 0.0
    count = math.prod(len(x) for x in nodes) - len(kept)
    sizes = torch.full_like(kept[:, -1], noise)
    return Rows(kept[:, :-1], kept[:, -1], sizes, Unreached(max(count, 0), left, noise))


def boundary_rows(problem: Problem, basis: ProductBasis, noise: float) -> Rows:
    """Return the boundary conditions at the nodes of the faces, as few rows as say the same.

    Data that no function of the basis has are left out.
    """
    parts = []
    for f in problem.functionals:
        factors, turns = [], []
        for j, (b, x) in enumerate(zip(basis.bases, problem.nodes, strict=True)):
            if j == f.axis:
                factors.append(f.row(b, problem.device)[None])
            else:
                values = b(x)
                turns.append(_range([values]).T)
                factors.append(turns[-1] @ values)
        data = apply(turns, f.data(problem.nodes)).flatten()
        matrix = _product(factors)
        # A derivative weighs as a value would.
        scale = max(max(b.top for b in basis.bases), 1.0) ** f.order
        parts.append(Rows(matrix, data, torch.full_like(data, noise * scale)))
    empty = problem.nodes[0].new_zeros(0)
    width = math.prod(b(x[:1]).shape[1] for b, x in zip(basis.bases, problem.nodes, strict=True))
    return Rows.joined([Rows(empty.new_zeros(0, width), empty, empty), *parts])


def _range(matrices: Sequence[Float[Tensor, "n m"]]) -> Float[Tensor, "n k"]:
    """Return an orthonormal basis of all columns of some matrices, each scaled to its largest."""
    scaled = [m / m.abs().max().clamp_min(1e-300) for m in matrices]
    left, sizes, _ = svd(torch.cat(scaled, 1))
    return left[:, sizes > _RANK * sizes[0]]


def _product(factors: Sequence[Tensor]) -> Tensor:
    product = factors[0]
    for factor in factors[1:]:
        product = torch.kron(product, factor)
    return product
