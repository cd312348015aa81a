"""Configs and code keep in step: targets resolve, experiments compose, names match."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pdesolve import operators, pde
from pdesolve.cli.build import located

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def names(group):
    files = (CONFIGS / group).rglob("*.yaml")
    return sorted(str(p.relative_to(CONFIGS / group).with_suffix("")) for p in files)


EXPERIMENTS, DATASETS = names("experiment"), names("dataset")


def composed(verb, *overrides):
    OmegaConf.register_new_resolver("started", lambda: "now", replace=True)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(verb, overrides=list(overrides))
    OmegaConf.resolve(config)
    return config


def public_classes(room):
    # ScOT is scot.yaml and FisherKPP is fisher_kpp.yaml: an acronym does not say where it is cut.
    return {name.lower() for name, value in vars(room).items() if isinstance(value, type)}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name):
    config = composed("train", f"experiment={name}")
    assert config.dataset.name in {Path(dataset).name for dataset in DATASETS}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_starts_with_its_command_and_its_table(name):
    marker, command, table = (CONFIGS / f"experiment/{name}.yaml").read_text().splitlines()[:3]
    assert marker == "# @package _global_"
    assert f"pdesolve train experiment={name}" in command
    assert table.startswith("# reproduces ")


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_starts_with_the_command_that_makes_it(name):
    first = (CONFIGS / f"dataset/{name}.yaml").read_text().splitlines()[0]
    assert first.startswith(("# pdesolve generate dataset=", "# pdesolve data convert "))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_target_resolves(path):
    for target in re.findall(r"_target_: *([\w.]+)", path.read_text()):
        assert callable(located(target, allow=()))


@pytest.mark.parametrize(("room", "group"), [(operators, "operator"), (pde, "pde")])
def test_every_public_class_has_a_config_of_its_name_and_back(room, group):
    paths = list((CONFIGS / group).glob("*.yaml"))
    stems = {path.stem.replace("_", ""): path for path in paths}
    assert public_classes(room) <= set(stems)
    # Further configs of a class (a size, a preset) begin with its name.
    for stem, path in stems.items():
        target = re.search(r"^_target_: *pdesolve\.\w+\.(\w+)", path.read_text(), re.MULTILINE)
        assert target is not None and stem.startswith(target[1].lower())
