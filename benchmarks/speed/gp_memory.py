"""Peak memory of blind solves with millions of unknowns, against the solution and the factors.

python benchmarks/speed/gp_memory.py [2 | 3]

Each row runs in a process of its own: 1600 x 1600 and 200 x 200 x 200 points of Poisson's
equation. `above_import` counts from `import pdesolve.gp`; of it `code` are pages of the libraries'
files, read when a function is called for the first time, which no array occupies.
`above_small_solve` counts from a solve of the same kind on few points. `allowed` is three times
the bytes of the solution on its nodes and of the factors: of each axis the functions, their second
derivatives and the tests at the nodes, the combinations that make the functions, and the
eigenvectors with their inverse; and the core. Writes benchmarks/results/gp_memory.json.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    2: ("u_xx + u_yy", "sin(100.37*x)*sin(99.61*y)", 1600, "sin(5.37*x)*sin(4.61*y)", 32),
    3: ("u_xx + u_yy + u_zz", "sin(30.3*x)*sin(29*y)*cos(37*z)", 200,
        "sin(3.3*x)*sin(2*y)*cos(3*z)", 20),
}  # fmt: skip
MIB = 2**20


def measure(dims: int) -> dict:
    from pdesolve.gp import solve
    from pdesolve.gp.manufactured import Manufactured

    text, exact, points, small_exact, few = CASES[dims]

    def solved(formula: str, count: int):
        given = Manufactured(text, formula, [count] * dims, "2*pi", axes="xyz"[:dims])
        return solve(
            given.residual, given.grid, source=given.source, boundary=given.boundary,
            raise_on_failure=False,
        )  # fmt: skip

    imported, code = _peak(), _file_pages()
    solved(small_exact, few)
    small = _peak()
    solution = solved(exact, points)
    peak = _peak()
    numbers = solution.expansion.core.numel()
    for basis in solution.expansion.bases:
        teeth, rank = basis.transform.shape
        numbers += 3 * points * rank + teeth * rank + 2 * rank**2
    field = solution.value.numel() * 8
    return {
        "points": [points] * dims,
        "functions": solution.expansion.functions,
        "converged": bool(solution.converged),
        "solution_mib": field / MIB,
        "factors_mib": numbers * 8 / MIB,
        "allowed_mib": 3 * (field + numbers * 8) / MIB,
        "above_import_mib": (peak - imported) / MIB,
        "code_mib": (_file_pages() - code) / MIB,
        "above_small_solve_mib": (peak - small) / MIB,
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _file_pages() -> int:
    """Return the resident bytes that are pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def measured(dims: int) -> dict:
    """Return a row, from a process that does nothing else."""
    command = [sys.executable, __file__, "--row", str(dims)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(dims: list[int]) -> None:
    rows = [measured(d) for d in dims]
    for row in rows:
        print(row)
    path = ROOT / "benchmarks" / "results" / "gp_memory.json"
    path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(a) for a in sys.argv[1:]] or [2, 3])
