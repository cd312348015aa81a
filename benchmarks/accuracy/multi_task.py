"""Compare one multi-task DeepONet with networks for each task, and transfer with a new start.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/multi_task.py

Three problems, on data made by the package, errors are relative L2 on test samples:
fisher  one network for three laws of growth against one for each law, with the same samples in all
darcy   a network for a square, a disc and a triangle, moved to a notched square with 100 samples,
        against a network that starts anew on those 100
plate   a network of plates with two to nine holes, at positions that it was not trained on
A run that was stopped goes on; a finished one is not run again.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import pdesolve

RESULT = Path(__file__).parents[1] / "results" / "multi_task.json"
LAWS = ("logistic", "cubic", "exponential")
HELD_OUT = "allee"
PLATE_GRID = "dataset.grid.shape=[80,20,8]"


class Study:
    """Runs commands of the package under one folder, each once, and remembers them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.commands: list[str] = []

    def call(self, verb: str, *arguments: str, run: str = "") -> dict[str, float]:
        """Run a verb; with a run folder only if it has no metrics yet, which are returned."""
        target = self.folder / "runs" / run
        where = [f"hydra.run.dir={target}"] if run else []
        words = ["pdesolve", verb, *arguments, *where]
        self.commands.append(" ".join(words).replace(f"{self.folder}/", ""))
        metrics = target / "metrics.json"
        if not (run and metrics.is_file()):
            subprocess.run([sys.executable, "-m", *words, "progress=false"], check=True)
        return json.loads(metrics.read_text()) if run else {}

    def data(self, name: str, dataset: str, train: int, test: int, *overrides: str) -> str:
        """Make a set, or find it complete; return its path."""
        path = self.folder / "data" / name
        self.call(
            "generate",
            f"dataset={dataset}",
            f"dataset.name={name}",
            f"dataset.path={path}",
            f"dataset.samples={{train: {train}, valid: {max(train // 10, 8)}, test: {test}}}",
            *overrides,
        )
        return str(path)


def fisher(study: Study, seeds: list[int], epochs: int) -> list[dict]:
    """Error of one network and of three on the test samples of each law."""
    every = study.data(
        "fisher_all", "fisher_kpp", 600, 60, f"dataset.equation.forms=[{','.join(LAWS)}]"
    )
    alone = {
        law: study.data(
            f"fisher_{law}", "fisher_kpp", 200, 200, f"dataset.equation.forms=[{law}]",
            f"dataset.seed={k}",
        )
        for k, law in enumerate((*LAWS, HELD_OUT), 1)
    }  # fmt: skip
    rows = []
    for seed in seeds:
        common = (
            "experiment=fisher_kpp/multi_task", f"trainer.epochs={epochs}", f"seed.init={seed}",
            f"seed.order={seed}",
        )  # fmt: skip
        together = f"fisher_all_{seed}"
        study.call("train", *common, f"dataset.path={every}", run=together)
        for law, path in alone.items():
            one = study.call(
                "evaluate", f"run={study.folder}/runs/{together}", f"path={path}",
                run=f"{together}_on_{law}",
            )  # fmt: skip
            row = {"seed": seed, "law": law, "multi_task": one["test/l2"]}
            if law != HELD_OUT:
                single = study.call(
                    "train", *common, f"dataset.path={path}", run=f"fisher_{law}_{seed}"
                )
                row["single_task"] = single["test/l2"]
            rows.append(row)
    return rows


def darcy(study: Study, seeds: list[int], epochs: int) -> list[dict]:
    """Error on the notched square after transfer and after a new start, 100 samples each."""
    source = study.data("darcy_regions", "darcy_geometries", 900, 60)
    notched = study.data(
        "darcy_notched", "darcy_geometries_held_out", 100, 200, "dataset.equation.shapes=[notch]"
    )
    rows = []
    for seed in seeds:
        order = (f"seed.init={seed}", f"seed.order={seed}")
        first = study.call(
            "train", "experiment=darcy/geometries", f"dataset.path={source}",
            f"trainer.epochs={epochs}", *order, run=f"darcy_source_{seed}",
        )  # fmt: skip
        target = ("experiment=darcy/transfer", f"dataset.path={notched}", *order)
        moved = study.call(
            "train", *target, f"init={study.folder}/runs/darcy_source_{seed}/model",
            run=f"darcy_moved_{seed}",
        )  # fmt: skip
        anew = study.call(
            "train", *target, "init=null", "optimizer=adamw", "optimizer.lr=1e-3",
            run=f"darcy_anew_{seed}",
        )  # fmt: skip
        rows.append(
            {
                "seed": seed,
                "source": first["test/l2"],
                "transfer": moved["test/l2"],
                "new_start": anew["test/l2"],
                "training_mean": anew["reference/training_mean/test/l2"],
            }
        )
    return rows


def plate(study: Study, seeds: list[int], epochs: int) -> list[dict]:
    """Error on designs whose holes are where no hole of the training was."""
    path = study.data("plate", "heated_plate", 72, 40, PLATE_GRID)
    rows = []
    for seed in seeds:
        found = study.call(
            "train", "experiment=heat/plate", f"dataset.path={path}", f"seed.init={seed}",
            f"seed.order={seed}", f"trainer.epochs={epochs}", run=f"plate_{seed}",
        )  # fmt: skip
        rows.append(
            {
                "seed": seed,
                "unseen_positions": found["test/l2"],
                "training_mean": found["reference/training_mean/test/l2"],
            }
        )
    return rows


PROBLEMS = {"fisher": (fisher, 150), "darcy": (darcy, 40), "plate": (plate, 150)}


def show(name: str, rows: list[dict]) -> None:
    columns = [key for key in rows[0] if key not in ("seed", "law")]
    table = Table(name, *columns, title="relative L2 error, mean and spread over seeds")
    for label in dict.fromkeys(row.get("law", "all") for row in rows):
        chosen = [row for row in rows if row.get("law", "all") == label]
        cells = []
        for column in columns:
            values = [row[column] for row in chosen if column in row]
            spread = statistics.pstdev(values) if values else 0.0
            cells.append(f"{statistics.fmean(values):.4f} ± {spread:.4f}" if values else "")
        table.add_row(label, *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs/multi_task"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    record = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    for name in arguments.problems:
        problem, epochs = PROBLEMS[name]
        study = Study(arguments.folder)
        rows = problem(study, arguments.seeds, epochs)
        record[name] = {"rows": rows, "commands": study.commands}
        record["versions"] = {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        record["command"] = "OMP_NUM_THREADS=1 python benchmarks/accuracy/multi_task.py"
        record["threads"] = torch.get_num_threads()
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
        show(name, rows)


if __name__ == "__main__":
    main()
