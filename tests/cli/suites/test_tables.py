import pytest

from pdesolve.cli.suites.other_tables import comparison_table, ratio_table, verb_table
from pdesolve.cli.suites.summary import lines
from pdesolve.cli.suites.tables import cost_table, curve_table, error_table, rate_table, tables


def row_of(table, label):
    return dict(zip(table.heads, next(r for r in table.rows if r[0] == label), strict=True))


@pytest.fixture
def three_seeds(record):
    errors = {0: 0.1, 1: 0.2, 2: 0.3}
    return [
        record(seed=seed, figures={"test/l2": error, "parameters": 1234567})
        for seed, error in errors.items()
    ]


def test_seeds_become_mean_and_standard_deviation(three_seeds):
    (line,) = lines(three_seeds)
    assert line.mean("test/l2") == pytest.approx(0.2)
    assert line.spread("test/l2") == pytest.approx(0.1)
    told = row_of(error_table("errors", [line], {"mgno": "0.15 (read)"}), "MgNO")
    assert told["relative L2"] == "0.2 ± 0.1"
    assert told["parameters"] == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert (told["seeds"], told["published"]) == ("3", "0.15 (read)")


def test_a_failed_row_says_why_beside_the_figures_of_other_seeds(record, three_seeds):
    failed = record(seed=3, status="failed", reason="loss is not finite")
    told = row_of(error_table("errors", lines([*three_seeds, failed]), {}), "MgNO")
    assert (told["seeds"], told["note"]) == ("3", "loss is not finite")


def test_a_model_whose_rows_all_failed_has_its_line_below_the_others(record, three_seeds):
    broken = record(model="mine", label="mine", status="failed", reason="width 7 is odd")
    table = error_table("errors", lines([broken, *three_seeds]), {})
    assert [row[0] for row in table.rows] == ["MgNO", "mine"]
    assert row_of(table, "mine")["note"] == "width 7 is odd"


def test_floors_come_first_and_models_by_their_error(record):
    kept = [
        record(model="lsm", label="LSM", figures={"test/l2": 0.3}),
        record(model="tfno", label="TFNO", figures={"test/l2": 0.1}),
        record(model="training_mean", label="training mean", figures={"test/l2": 0.2}),
    ]
    table = error_table("errors", lines(kept), {})
    assert [row[0] for row in table.rows] == ["training mean", "TFNO", "LSM"]


def test_a_column_that_no_model_fills_is_left_out(record):
    table = error_table("errors", lines([record(figures={"test/l2": 0.1})]), {})
    assert table.heads == ["model", "relative L2", "seeds"]


def test_other_grids_stand_beside_their_trivial_rival(record):
    figures = {"test/l2": 0.1, "test@65/l2": 0.2, "reference/interpolation/test@65/l2": 0.15}
    table = error_table("errors", lines([record(figures=figures)]), {})
    assert row_of(table, "MgNO")["L2 at 65 points"] == "0.2 (interpolated 0.15)"


def test_the_learning_curve_has_the_exponent_of_its_fall(record):
    kept = [
        record(variant="epochs", figures={"test/l2": 0.1}),
        record(variant="samples=25", figures={"test/l2": 0.2}),
    ]
    told = row_of(curve_table(lines(kept), everything=100), "MgNO")
    assert told == {
        "model": "MgNO",
        "25 samples": "0.2",
        "100 samples": "0.1",
        "exponent a": "0.50",
    }


def test_rates_stand_beside_the_best_one_and_the_one_in_use(record):
    def searched(rate, epochs=5, **figures):
        config = {"optimizer": {"lr": rate}, "trainer": {"epochs": epochs}}
        return record(variant=f"rate={rate}", task={"config": config}, figures=figures)

    used = record(task={"config": {"optimizer": {"lr": 0.001}}})
    kept = [
        searched(0.01, **{"valid/l2": 0.1}),
        searched(0.001, **{"valid/l2": 0.2}),
        searched(0.1, diverged="loss is nan"),
        searched(0.2, **{"valid/l2": "nan"}),
        searched(0.02, epochs=2, **{"valid/l2": 0.01}),  # Of another search.
    ]
    told = row_of(rate_table(lines(kept), lines([used]), "epochs", 5), "MgNO")
    assert told == {
        "model": "MgNO",
        "0.001": "0.2",
        "0.01": "0.1",
        "0.1": "diverged",
        "0.2": "nan",
        "best": "0.01",
        "of the table above": "0.001",
    }


def test_rates_of_equal_time_have_a_table_of_their_own(record):
    def timed(variant, seconds, **figures):
        task = {"config": {"optimizer": {"lr": 0.01}, "trainer": {"epochs": 1}}, "seconds": seconds}
        return record(variant=variant, task=task, figures=figures)

    kept = [
        timed("seconds", 10, **{"test/l2": 0.1}),
        timed("seconds_rate=0.01", 5, **{"valid/l2": 0.2}),
        timed("seconds_rate=0.1", 5, **{"valid/l2": 0.3}),
    ]
    plan = {"seconds": 10, "rate_seconds": 5}
    _, table = tables(lines(kept), plan, {})
    assert table.title == "Learning rates for equal time"
    assert table.rows == [["MgNO", "0.2", "0.3", "0.01 (edge)", "0.01"]]


def test_a_best_rate_at_the_edge_says_so(record):
    task = {"config": {"optimizer": {"lr": 0.01}, "trainer": {"epochs": 5}}}
    kept = record(variant="rate=0.01", task=task, figures={"valid/l2": 0.1})
    assert row_of(rate_table(lines([kept]), [], "epochs", 5), "MgNO")["best"] == "0.01 (edge)"


def test_a_seed_that_is_not_finite_is_in_the_mean(record):
    kept = [record(seed=s, figures={"test/l2": e}) for s, e in enumerate([0.1, "inf"])]
    told = row_of(error_table("errors", lines(kept), {}), "MgNO")
    assert (told["relative L2"], told["seeds"]) == ("inf", "2")


def test_costs_of_which_no_grid_was_done_say_why(record):
    failed = record(variant="cost", status="failed", reason="out of memory")
    assert row_of(cost_table(lines([failed])), "MgNO")["note"] == "out of memory"


def test_two_models_of_one_label_have_two_curves(record):
    kept = [
        record(model=model, variant="samples=25", figures={"test/l2": error})
        for model, error in {"mgno": 0.1, "mine": 0.2}.items()
    ]
    assert [row[:2] for row in curve_table(lines(kept), 100).rows] == [
        ["MgNO", "0.1"],
        ["MgNO", "0.2"],
    ]


def test_cost_stands_by_grid_with_its_exponents(record):
    figures = {"step_seconds@33": 0.001, "step_bytes@33": 2e6, "exponent/step_seconds": 1.5}
    told = row_of(cost_table(lines([record(variant="cost", figures=figures)])), "MgNO")
    assert (told["ms at 33"], told["MB at 33"], told["exponent of time"]) == ("1", "2", "1.5")


def test_problems_have_the_figures_that_their_suite_names(record):
    solved = record(label="heat", figures={"error/l2": 1e-10, "seconds": 2.0})
    failed = record(model="beam", label="beam", status="failed", reason="did not converge")
    table = verb_table("problems", lines([solved, failed]), {"error": "error/l2"})
    assert row_of(table, "heat") == {"": "heat", "error": "1e-10", "note": ""}
    assert row_of(table, "beam")["note"] == "did not converge"


def test_ratios_of_a_script_come_as_their_geometric_mean(record):
    figures = {"what": "theirs / ours"}
    for place, value in {"a": 2.0, "b": 8.0}.items():
        figures |= {place: value, f"{place}/low": value - 1, f"{place}/high": value + 1}
    lined = lines([record(label="layers", figures=figures)])
    told = row_of(ratio_table("speed", lined), "layers")
    assert (told["comparisons"], told["geometric mean"], told["least"]) == ("2", "4", "2")
    assert told["what"] == "theirs / ours"
    assert comparison_table(lined).rows[1] == ["layers", "b", "8 (7 to 9)"]


def test_a_model_that_refuses_another_grid_says_so_where_its_figure_would_stand(record):
    taken = record(figures={"test/l2": 0.1, "test@65/l2": 0.2})
    told = record(model="deeponet", label="DeepONet", figures={"test/l2": 0.3})
    told["figures"] |= {"test@65/refused": "x has points (65, 65)"}
    table = error_table("errors", lines([taken, told]), {})
    assert row_of(table, "DeepONet")["L2 at 65 points"] == "refused"
    assert table.caption == "Refused: DeepONet (for the grid of the training alone)."
