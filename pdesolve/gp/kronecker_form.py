"""A problem on a tensor product grid as a small dense system for a core of coefficients.

u = Σ C[k, l, ...] q_k(x) q_l(y) ..., C = C_b + (Z_1 ⊗ Z_2 ⊗ ...) W: C_b carries the boundary data
and Z spans the functions without. Residuals on the nodes are tested axis by axis, which leaves as
many equations as unknowns. Where the equation is separable they are a Kronecker sum.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ..ops.kronecker import apply, mode_product
from ..ops.kronecker_sum import KroneckerSum
from .expansion import Expansion
from .problem import Problem
from .tensor_basis import Form, RankedBasis, TestSpace

_SINGULAR, _SHIFT = 1e-12, 1e-9


class KroneckerForm:
    """The system of one problem with one basis per axis.

    Args:
        problem: what is solved.
        bases: functions of each axis.
        test_spaces: of each axis.
        load: share of the source and the boundary data that is asked for, see `continuation`.
    """

    def __init__(
        self,
        problem: Problem,
        bases: Sequence[RankedBasis],
        test_spaces: Sequence[TestSpace],
        *,
        load: float = 1.0,
    ):
        self.problem, self._load = problem, load
        self.forms = [
            Form(basis, axis, [f for f in problem.functionals if f.axis == j],
                 problem.jet.highest(j), space)
            for j, (basis, axis, space) in enumerate(
                zip(bases, problem.axes, test_spaces, strict=True)
            )
        ]  # fmt: skip

    def expansion(self, core: Float[Tensor, "*r"]) -> Expansion:
        """Return the function with these coefficients."""
        return Expansion([form.basis for form in self.forms], core)

    @cached_property
    def lifted(self) -> Float[Tensor, "*r"]:
        """C_b: coefficients that satisfy all boundary data, by a Boolean sum over the axes.

        Correcting one axis leaves the others right where their data agree on common edges.
        """
        core = self.problem.nodes[0].new_zeros([form.basis.rank for form in self.forms])
        for j, form in enumerate(self.forms):
            if form.functionals:
                wanted = self._traces(j)
                misfit = wanted - mode_product(form.conditions, core, j - core.ndim)
                core = core + mode_product(form.lift, misfit, j - core.ndim)
        return self._load * core

    def _traces(self, j: int) -> Tensor:
        """Return the boundary data across axis j as coefficients of the other axes."""
        form = self.forms[j]
        others = [f.nodal_inverse for i, f in enumerate(self.forms) if i != j]
        rows = [apply(others, f.data(self.problem.nodes)) for f in form.functionals]
        return torch.stack([r / s for r, s in zip(rows, form.scales, strict=True)], dim=j)

    def core(self, free: Float[Tensor, "*free"]) -> Float[Tensor, "*r"]:
        """Return C = C_b + (Z ⊗ ...) W."""
        return self.lifted + self.spread(free)

    def spread(self, free: Float[Tensor, "*free"]) -> Float[Tensor, "*r"]:
        """Return (Z ⊗ ...) W, whose boundary data are zero."""
        return apply([form.inside for form in self.forms], free)

    def start(self) -> Float[Tensor, "*free"]:
        """Return W = 0."""
        return self.lifted.new_zeros([form.inside.shape[1] for form in self.forms])

    def residual(self, core: Float[Tensor, "*r"]) -> Float[Tensor, "*free"]:
        """Return the tested residual of the function with these coefficients."""
        problem, total = self.problem, torch.zeros_like(self.start())
        for rows, block, derivatives in self.blocks(core):
            known = problem.known(block)
            values = problem.jet.value(derivatives, known)
            if self._load < 1:
                start = problem.jet.value(torch.zeros_like(derivatives), known)
                values = values - (1 - self._load) * start
            total += self.tested(values, rows)
        return total

    def blocks(self, core: Tensor) -> Iterator[tuple[slice, list[Tensor], Tensor]]:
        """Yield the derivatives that the equation reads on the nodes, see `Expansion.blocks`."""
        yield from self.expansion(core).blocks(self.problem.nodes, self.problem.jet.orders)

    def tested(self, values: Tensor, rows: slice) -> Float[Tensor, "*free"]:
        """Return what some rows of nodal values add to the tested residual."""
        first, *others = (form.test for form in self.forms)
        return apply([first[:, rows], *others], values)

    def linearised_at(self, core: Float[Tensor, "*r"]) -> "Linearisation":
        """Return the derivative of `residual` there."""
        return Linearisation(self, core)

    def separable(self, symbol: dict[tuple[int, ...], float]) -> tuple[KroneckerSum, float]:
        """Return Σ_j A_j and the shift of a symbol; mixed derivatives are left out."""
        matrices = []
        for j, form in enumerate(self.forms):
            own = {o[j]: c for o, c in symbol.items() if o[j] and sum(o) == o[j]}
            total = sum(
                (c * form.tested(n) for n, c in own.items()), torch.zeros_like(form.tested(0))
            )
            matrices.append(form.tested_inverse @ total)
        operator, shift = KroneckerSum(matrices), symbol.get((0,) * len(self.forms), 0.0)
        if all(axis.periodic for axis in self.problem.axes):
            # Constants may solve the homogeneous equation: a small shift leaves them alone, and
            # refinement takes back what it does to the others.
            scale = sum(float(spectrum.eigenvalues.abs().max()) for spectrum in operator.spectra)
            if operator.smallest_eigenvalue(shift=shift) <= _SINGULAR * scale:
                shift += _SHIFT * scale
        return operator, shift

    def precondition(
        self, residual: Float[Tensor, "*free"], operator: KroneckerSum, shift: float
    ) -> Float[Tensor, "*free"]:
        """Solve the separable system for a tested right-hand side."""
        return operator.solve(apply([f.tested_inverse for f in self.forms], residual), shift=shift)


class Linearisation:
    """The derivative of a tested residual: applied exactly, inverted for its mean coefficients."""

    def __init__(self, form: KroneckerForm, core: Tensor):
        self._form = form
        jet, problem = form.problem.jet, form.problem
        self._constant: dict[int, float] = {}
        self._varying: dict[int, Tensor] = {}
        blocks = [
            jet.linearised(derivatives, problem.known(block))
            for _, block, derivatives in form.blocks(core)
        ]
        symbol = {}
        for k, orders in enumerate(jet.orders):
            field = torch.cat([block[k] for block in blocks])
            low, high = float(field.min()), float(field.max())
            symbol[orders] = float(field.mean())
            if high - low <= 1e-14 * max(abs(high), abs(low)):
                self._constant[k] = high
            else:
                self._varying[k] = field
        self.operator, self.shift = form.separable(symbol)

    def apply(self, free: Float[Tensor, "*free"]) -> Float[Tensor, "*free"]:
        """Return the change of the tested residual for a change of W."""
        return self.applied(self._form.spread(free))

    def applied(self, core: Float[Tensor, "*r"]) -> Float[Tensor, "*free"]:
        """Return the change of the tested residual for a change of all coefficients."""
        form = self._form
        total = torch.zeros_like(form.start())
        for rows, _, derivatives in form.blocks(core):
            terms = [c * derivatives[k] for k, c in self._constant.items()]
            terms += [c[rows] * derivatives[k] for k, c in self._varying.items()]
            total += form.tested(sum(terms[1:], terms[0]), rows)
        return total

    def precondition(self, residual: Float[Tensor, "*free"]) -> Float[Tensor, "*free"]:
        """Solve with the mean coefficients."""
        return self._form.precondition(residual, self.operator, self.shift)
