"""`pdesolve evaluate run=FOLDER`: a trained model measured on stored data, at any resolution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import application


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("evaluate", evaluate, arguments)


def evaluate(config: Any, folder: Path) -> dict[str, float]:
    """Judge the model of `config.run` on a split, by default the test split of its own dataset."""
    from .failures import UsageError
    from .judge import judge
    from .sets import Sets
    from .splits import open_split, open_tests

    trained = run_config(config.run)
    dataset = trained.dataset
    if dataset.get("members"):
        sets = mixture_sets(dataset, config)
    else:
        for name in ("path", "stride", "test_strides"):
            if config.get(name) is not None:
                dataset[name] = config[name]
        train = open_split(dataset, "train", trained.dataset.stride)
        tests = open_tests(dataset, config.split, dataset.get("test_strides", ()))
        if not tests:
            raise UsageError(f"{dataset.path} has no split {config.split!r}: see its folder data/")
        sets = Sets(train, None, tests)
    model = trained_model(Path(config.run), trained, sets.train, config.allow)
    title = f"{trained.operator._target_.rpartition('.')[2]} on {dataset.name}, {config.split}"
    told = {"groups": trained.loss.get("groups"), "estimate": config.estimate}
    return judge(model, sets, folder, config, title=title, **told)


def mixture_sets(dataset: Any, config: Any) -> Any:
    """Open the training split of a mixture and the split that is asked for, of all its members.

    Raises:
        UsageError: a member lacks the split, or another place is asked for.
    """
    from .failures import UsageError
    from .mixture import open_mixture
    from .sets import Sets
    from .splits import has_split

    if config.path is not None or config.stride is not None:
        raise UsageError(
            f"path or stride is given for the mixture {dataset.name}, expected neither: its "
            "members say where they are"
        )
    lacking = [one.name for one in dataset.members if not has_split(one, config.split)]
    if lacking:
        raise UsageError(f"members {', '.join(lacking)} have no split {config.split!r}")
    return Sets(open_mixture(dataset, "train"), None, {"": open_mixture(dataset, config.split)})


def run_config(run: str) -> Any:
    """Return the resolved config of a training run.

    Raises:
        UsageError: the folder is no training run, or its config asks for values to be resolved
            (a config that came with a model must not read this machine's environment).
    """
    from omegaconf import OmegaConf

    from .failures import UsageError

    path = Path(run) / "config.yaml"
    if not path.is_file() or not (Path(run) / "model").is_dir():
        raise UsageError(
            f"run {run} has no config.yaml and model/, expected the folder of a finished training "
            "run: its path is the last line that `pdesolve train` prints"
        )
    text = path.read_text()
    if "${" in text:
        raise UsageError(f"{path} holds an interpolation ${{...}}, expected resolved values only")
    return OmegaConf.create(text)


def trained_model(run: Path, trained: Any, dataset: Any, allow: Sequence[str]) -> Any:
    """Load the model of a training run."""
    from .train import saved_model

    trained.allow = list(allow)
    return saved_model(run / "model", trained, dataset)
