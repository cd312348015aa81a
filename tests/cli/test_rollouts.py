"""Models of frames are judged by single calls and by rollouts."""

import json

import pytest
import torch

import pdesolve
from pdesolve.cli.rollouts import rolled_out, trajectories
from pdesolve.datasets import AtTimes, Member, Mixture, Pairs, Window, open_dataset
from pdesolve.evaluation import rollout_errors

SMALL = (
    "dataset=navier_stokes_demo",
    "dataset.test_strides=[]",
    "operator.modes=[4,4]",
    "operator.width=4",
    "trainer.epochs=1",
    "progress=false",
)


def metrics_of(run):
    assert run.code == 0, run.err
    return json.loads((run.run / "metrics.json").read_text())


@pytest.mark.parametrize(
    "objective", ["one_step", "pushforward", ("unrolled", "objective.steps=2")]
)
def test_windows_are_trained_with_every_objective_and_rolled_out(with_flow, objective):
    name, *more = (objective,) if isinstance(objective, str) else objective
    window = ("window=frames", "dataset.window.inputs=2", f"objective={name}", *more)
    run = with_flow("train", *SMALL, *window)
    metrics = metrics_of(run)
    # Five times, two of them given.
    told = {key for key in metrics if key.startswith("test/rollout/l2@")}
    assert told == {"test/rollout/l2@3", "test/rollout/l2@4", "test/rollout/l2@5"}
    assert {"test/l2", "test/rollout/l2"} <= metrics.keys()
    assert "reference/persistence/test/rollout/l2@5" in metrics
    assert (run.run / "rollout.png").stat().st_size > 0
    assert (run.run / "rollout_movie.gif").read_bytes()[:4] == b"GIF8"
    predicted = with_flow("predict", f"run={run.run}", "data=data/navier_stokes_demo", "split=test")
    assert metrics_of(predicted)["samples"] == 6
    again = metrics_of(with_flow("evaluate", f"run={run.run}", "progress=false"))
    assert again["test/rollout/l2@5"] == pytest.approx(metrics["test/rollout/l2@5"], rel=1e-6)


def test_the_map_to_all_times_has_a_residual_and_no_rollout(with_flow):
    metrics = metrics_of(with_flow("train", *SMALL, "window=all_times", "dataset.stride=1"))
    assert metrics["test/residual_of_truth"] < 1e-2 < metrics["test/residual"]
    assert not any("rollout" in key for key in metrics)


def test_an_operator_without_conditions_refuses_pairs(with_flow):
    refused = with_flow("train", *SMALL, "window=all2all")
    assert refused.code != 0
    assert "TFNO takes no parameters" in refused.err


def test_each_member_of_a_mixture_is_rolled_out(with_flow):
    place = "path: data/navier_stokes_demo"
    members = f"dataset.members=[{{name: a, {place}}},{{name: b, {place}, time_scale: 2.0}}]"
    window = ("window=frames", "dataset.window.inputs=2")
    run = with_flow("train", "dataset=flow_mixture", members, *SMALL[2:], *window)
    metrics = metrics_of(run)
    test = open_dataset(
        with_flow.folder / "data/navier_stokes_demo", split="test", window=Window(2, 1)
    )
    errors = rollout_errors(pdesolve.load(run.run / "model"), test).figures()
    for member in ("navier_stokes_demo_0", "navier_stokes_demo_1"):
        found = {key: metrics[f"test/{member}/rollout/{key}"] for key in errors}
        assert found == pytest.approx(errors, rel=1e-4)
        assert f"reference/persistence/test/{member}/rollout/l2@5" in metrics
        assert (run.run / f"test_{member}_rollout.png").stat().st_size > 0
        assert (run.run / f"test_{member}_rollout_movie.gif").read_bytes()[:4] == b"GIF8"
    assert "navier_stokes_demo_1: Error of 2 rollouts" in (run.run / "report.html").read_text()
    exported = with_flow("export", f"run={run.run}", "formats=[torch]")
    assert metrics_of(exported)["torch/difference"] < 1e-5
    refused = with_flow("refine", f"run={run.run}", "progress=false")
    assert refused.code == 2
    assert "mixture flow_mixture, expected data of one equation" in refused.err


class Still(torch.nn.Module):
    """Predicts that nothing changes, however long it takes."""

    def forward(self, x, condition):
        return x


def test_pairs_are_judged_by_quantity_at_the_last_time(with_flow):
    data = open_dataset(
        with_flow.folder / "data/navier_stokes_demo", split="test", window=Pairs(), stride=2
    )
    figures, _, pictures = rolled_out(Still(), data, "test", None, (1,))
    batch = data.rolled().batch([0, 1])
    first, last = batch.x[:, -1], batch.y[:, -1]
    ratios = (last - first).abs().sum((1, 2)) / last.abs().sum((1, 2))
    for calls in ("rollout", "one_call"):
        told = figures[f"test/{calls}/median_l1"]
        assert told == pytest.approx(float(ratios.mean()), rel=1e-5)
    assert figures["test/semigroup"] == 0.0
    assert [one.name for one in pictures] == ["rollout", "rollout_movie"]


def test_the_only_member_of_a_mixture_needs_no_name(with_flow):
    only = open_dataset(
        with_flow.folder / "data/navier_stokes_demo", split="test", window=Window(2, 1)
    )
    assert list(trajectories(Mixture([Member(only)]))) == [""]
    still = Member(only.windowed(AtTimes("all")))
    assert trajectories(Mixture([still])) == {}
