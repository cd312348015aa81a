"""Direct solution of separable operators, (A_1 ⊗ I ⊗ I + I ⊗ A_2 ⊗ I + I ⊗ I ⊗ A_3 + c) u = f.

In two dimensions this is Sylvester's equation A_1 U + U A_2ᵀ + c U = F. Each matrix is factorised
once; every right-hand side then costs two mode products an axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .kronecker import apply

# Above it eigenvectors lose more digits than refinement wins back: Schur vectors are used instead.
LARGEST_CONDITION = 1e7
# Above it one step of iterative refinement is worth its cost.
_REFINED_CONDITION = 1e3


@dataclass(frozen=True)
class Spectrum:
    """One matrix as A = B T B⁻¹ with T diagonal or upper triangular.

    Attributes:
        forward, backward: B⁻¹ and B, real if all eigenvalues are.
        eigenvalues: the diagonal of T.
        triangle: T where it is not diagonal.
        condition: ||B|| ||B⁻¹|| in the Frobenius norm over n; 1 for Schur vectors.
    """

    forward: Tensor
    backward: Tensor
    eigenvalues: Tensor
    triangle: Tensor | None
    condition: float

    @classmethod
    def of(cls, matrix: Float[Tensor, "n n"], *, condition_limit: float) -> "Spectrum":
        """Diagonalise if that is stable, else triangularise."""
        if torch.equal(matrix, matrix.mT):
            values, vectors = torch.linalg.eigh(matrix)
            return cls(vectors.mT, vectors, values, None, 1.0)
        values, vectors = torch.linalg.eig(matrix)
        if not bool(values.imag.any()):
            values, vectors = values.real.contiguous(), vectors.real.contiguous()
        inverse, singular = torch.linalg.inv_ex(vectors)
        n = len(values)
        condition = float(torch.linalg.norm(vectors) * torch.linalg.norm(inverse)) / n
        if int(singular) or not condition <= condition_limit:
            return cls._schur(matrix)
        return cls(inverse, vectors, values, None, condition)

    @property
    def comes_in_pairs(self) -> bool:
        """Whether the eigenvalues are complex and T is diagonal: of each pair one is enough."""
        return self.triangle is None and self.eigenvalues.is_complex()

    def halved(self) -> "Spectrum":
        """Keep of each conjugate pair the eigenvalue above the real axis; real bases.

        `forward` gives real parts above imaginary parts, which `backward` takes again, doubled
        for pairs: for real fields that is the sum over all eigenvalues.
        """
        kept = self.eigenvalues.imag >= 0
        values = self.eigenvalues[kept]
        forward, backward = self.forward[kept], self.backward[:, kept]
        backward = backward * torch.where(values.imag > 0, 2.0, 1.0).to(backward.dtype)
        return replace(
            self,
            forward=torch.cat([forward.real, forward.imag]),
            backward=torch.cat([backward.real, -backward.imag], dim=1),
            eigenvalues=values,
        )

    @classmethod
    def _schur(cls, matrix: Tensor) -> "Spectrum":
        # torch has no Schur form; the factors are small, so they make the trip to the CPU.
        triangle, vectors = scipy.linalg.schur(matrix.cpu().numpy(), output="real")[:2]
        if np.diagonal(triangle, -1).any():
            triangle, vectors = scipy.linalg.rsf2csf(triangle, vectors)
        t, q = (torch.from_numpy(m).to(matrix.device) for m in (triangle, vectors))
        return cls(q.mH.contiguous(), q, t.diagonal().clone(), t, 1.0)


class KroneckerSum:
    """The operator Σ_j A_j acting on axis j of a field, factorised once for many right-hand sides.

    Diagonalisation A_j = V_j Λ_j V_j⁻¹ turns it into a division by λ_i + μ_j + ... + c. An axis
    whose eigenvectors are too ill-conditioned (first- and third-order derivatives) keeps its Schur
    form instead and is solved by back-substitution, one slice at a time.

    Args:
        matrices: A_j (n_j, n_j), real, one to three or more. Symmetric ones must be so exactly to
            be treated as such.
        condition_limit: largest condition of eigenvectors before the Schur form is taken.

    Raises:
        ValueError: a matrix is not square or not real.

    Source: Lynch, Rice and Thomas 1964 (diagonalisation); Bartels and Stewart 1972 (Schur form).
    """

    def __init__(
        self,
        matrices: Sequence[Shaped[Tensor, "..."]],
        *,
        condition_limit: float = LARGEST_CONDITION,
    ):
        for j, matrix in enumerate(matrices):
            square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
            if not square or matrix.is_complex():
                raise ValueError(
                    f"matrices[{j}] has shape {tuple(matrix.shape)} and {matrix.dtype}, expected "
                    "a real square matrix"
                )
        self.matrices = tuple(matrices)
        self.spectra = tuple(Spectrum.of(m, condition_limit=condition_limit) for m in matrices)
        # Like the half spectrum of a real Fourier transform: half the memory and half the work.
        pairs = [j for j, spectrum in enumerate(self.spectra) if spectrum.comes_in_pairs]
        self._halved = pairs[0] if pairs else None
        self._bases = [s.halved() if j == self._halved else s for j, s in enumerate(self.spectra)]

    @property
    def condition(self) -> float:
        """Worst condition of the bases used; about this times 1e-16 is lost before refinement."""
        return max(spectrum.condition for spectrum in self.spectra)

    def apply(
        self, u: Float[Tensor, "*batch_grid"], *, shift: float = 0.0
    ) -> Float[Tensor, "*batch_grid"]:
        """Return (Σ_j A_j + shift) u."""
        total = shift * u
        for j, matrix in enumerate(self.matrices):
            total += apply([matrix if i == j else None for i in range(len(self.matrices))], u)
        return total

    def smallest_eigenvalue(self, *, shift: float = 0.0) -> float:
        """Return min |λ_i + μ_j + ... + shift|: near 0 the equation is singular."""
        total = torch.full((), shift, dtype=self.spectra[0].eigenvalues.dtype)
        total = total.to(self.matrices[0].device)
        for spectrum in self.spectra:
            total = total[..., None] + spectrum.eigenvalues
        return float(total.abs().min())

    def solve(
        self, f: Float[Tensor, "*batch_grid"], *, shift: float = 0.0
    ) -> Float[Tensor, "*batch_grid"]:
        """Return u with (Σ_j A_j + shift) u = f.

        Args:
            f: (..., n_1, ..., n_d).
            shift: c, a number.

        Returns:
            u like f; infinite or NaN if the operator is singular.
        """
        u = self._solve_once(f, shift)
        if self.condition > _REFINED_CONDITION:
            u += self._solve_once(f - self.apply(u, shift=shift), shift)
        return u

    def _solve_once(self, f: Tensor, shift: float) -> Tensor:
        real = [None if b.forward.is_complex() else b.forward for b in self._bases]
        whole = [b.forward if b.forward.is_complex() else None for b in self._bases]
        back = [None if b.backward.is_complex() else b.backward for b in self._bases]
        whole_back = [b.backward if b.backward.is_complex() else None for b in self._bases]
        # Real products come first and last: fields are complex for as few steps as possible.
        # One expression: a name would keep a field alive that the next step has consumed.
        return apply(
            back,
            self._unpaired(
                apply(
                    whole_back,
                    self._divide(apply(whole, self._paired(apply(real, f))), shift),
                )
            ),
        )

    def _paired(self, u: Tensor) -> Tensor:
        if self._halved is None:
            return u
        return torch.complex(*u.chunk(2, dim=self._halved - len(self._bases)))

    def _unpaired(self, u: Tensor) -> Tensor:
        if self._halved is None:
            return u.real if u.is_complex() else u
        return torch.cat([u.real, u.imag], dim=self._halved - len(self._bases))

    def _divide(self, f: Tensor, shift: float) -> Tensor:
        """Solve Σ_j T_j u = f for the triangular and diagonal T_j of the bases, in place of f."""
        d, batch = len(self._bases), f.ndim - len(self._bases)
        slow = [j for j in range(d) if self._bases[j].triangle is not None]
        fast = [j for j in range(d) if self._bases[j].triangle is None]
        order = [batch + j for j in slow + fast] + list(range(batch))
        triangles = [self._bases[j].triangle.to(f.dtype) for j in slow]  # pyright: ignore
        eigenvalues = [self._bases[j].eigenvalues for j in fast]
        _back_substitute(triangles, eigenvalues, shift, f.permute(order))
        return f


def _back_substitute(
    triangles: Sequence[Tensor], eigenvalues: Sequence[Tensor], shift: Tensor | float, f: Tensor
) -> None:
    """Overwrite f with the solution for triangles on its first axes, eigenvalues on the next.

    Slice by slice: no second field is needed, nor one of the sums of eigenvalues.
    """
    if not triangles and len(eigenvalues) <= 1:
        total = shift + eigenvalues[0] if eigenvalues else torch.as_tensor(shift).to(f)
        f /= total.reshape(total.shape + (1,) * (f.ndim - total.ndim))
    elif not triangles:
        for index, value in enumerate(eigenvalues[0]):
            _back_substitute([], eigenvalues[1:], shift + value, f[index])
    elif len(triangles) == 1 and not eigenvalues:
        shifted = triangles[0].clone()
        shifted.diagonal().add_(shift)
        columns = f.reshape(len(shifted), -1)
        f.copy_(torch.linalg.solve_triangular(shifted, columns, upper=True).reshape(f.shape))
    else:
        triangle = triangles[0]
        for k in reversed(range(len(triangle))):
            known = f[k + 1 :].movedim(0, -1) @ triangle[k, k + 1 :]
            f[k] -= known
            _back_substitute(triangles[1:], eigenvalues, shift + triangle[k, k], f[k])
