"""What a given time is worth: sets are evaluated after some minutes, tabulated and drawn."""

import json

import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline import grid, tabulated
from experiments.pipeline.score import students_due
from experiments.report import __main__ as command
from experiments.report import times
from experiments.report.records import Comparison
from experiments.run import run
from experiments.settings.parse import parse
from experiments.settings.saved import dump


@pytest.mark.parametrize(
    ("began", "ended", "expected"),
    [(0, 29, 0), (29, 30, 7), (29, 31, 7), (30, 31, 0), (29, 200, 7), (119, 121, 7)],
)
def test_an_evaluation_is_due_where_an_iteration_passes_a_minute_mark(began, ended, expected):
    settings = parse(["--minutes", "3", "--eval-minutes", "0.5", "2", "--num-students", "7"])
    assert students_due(settings, 5, began, ended) == expected


def test_minutes_on_the_way_are_those_of_a_run_by_minutes():
    with pytest.raises(dc.InputError, match="--eval-minutes changes nothing with a run without --minutes"):
        parse(["--eval-minutes", "2"])
    with pytest.raises(dc.InputError, match="--eval-minutes must be a positive number"):
        parse(["--minutes", "2", "--eval-minutes", "0"])


def test_a_run_is_evaluated_after_minutes_and_may_go_on_for_more(tmp_path):
    place = tmp_path / "run"
    words = ["--network", "mlp", "--num-students", "2", "--eval-epochs", "2", "--no-baseline", "--workdir", str(place)]
    run([*words, "--minutes", "0.004", "--eval-minutes", "0.001"])
    first = json.loads((place / "result.json").read_text())
    assert [each["minutes"] >= 0.001 for each in first["on_the_way"]] == [True]
    assert first["on_the_way"][0]["students"] == 2
    assert first["on_the_way"][0]["iteration"] < first["config"]["iterations"]
    run([*words, "--minutes", "0.008", "--eval-minutes", "0.001", "0.004", "--resume"])
    later = json.loads((place / "result.json").read_text())
    assert later["config"]["iterations"] > first["config"]["iterations"]
    assert later["on_the_way"][0] == first["on_the_way"][0]
    assert later["on_the_way"][1]["iteration"] == first["config"]["iterations"]  # where it had ended


def made(method, on_the_way, mean, words=("--minutes", "15", "--eval-minutes", "2", "5")):
    result = {
        "accuracy": {"condensed": {"mean": mean, "std": 1.0, "values": [mean - 1, mean + 1], "students": 2}},
        "on_the_way": [{"minutes": m, "mean": value, "std": 1.0, "students": 2} for m, value in on_the_way],
    }
    return tabulated.Made(method, 1, parse(list(words)), result)


def test_a_row_has_the_first_accuracy_after_each_minute_mark_over_all_sets():
    sets = [made("dc", [(2.01, 60.0), (5.02, 70.0)], 80.0), made("dc", [(2.5, 64.0)], 86.0)]
    (row,) = tabulated.rows(sets)
    assert [each["minutes"] for each in row["by_minutes"]] == [2, 5, 15]
    assert [each["mean"] for each in row["by_minutes"]] == [62.0, 78.0, 83.0]
    assert [each["students"] for each in row["by_minutes"]] == [4, 4, 4]
    spread = np.concatenate([[59, 61], [63, 65]]).std()  # of the students whose means and deviations are known
    assert row["by_minutes"][0]["std"] == pytest.approx(spread, abs=0.01)


def test_runs_of_a_comparison_go_on_for_more_minutes_but_not_for_other_settings(tmp_path):
    words = ["--network", "mlp", "--workdir", str(tmp_path)]
    (tmp_path / "config.json").write_text(json.dumps(dump(parse([*words, "--minutes", "2"]))))
    more = parse([*words, "--minutes", "5", "--eval-minutes", "2"])
    grid.check_place(more)
    assert grid._lacks(more, tmp_path)
    assert not grid._lacks(parse([*words, "--minutes", "2"]), tmp_path)
    with pytest.raises(dc.InputError, match="holds a run with other settings"):
        grid.check_place(parse(words))


def comparison(path, methods, rows):
    words = f"python -m experiments.compare --dataset mnist --methods {methods} --ipc 1 -- --width 32 --minutes 5 --eval-minutes 2"
    evaluation = {"eval_recipe": "dc", "eval_epochs": 300, "eval_augment": "none"}
    return Comparison(path, {"command": words, "dataset": "mnist", "evaluation": evaluation, "rows": rows})


def row(method, mean, by_minutes=()):
    found = {"method": method, "ipc": 1, "mean": mean, "std": 1.0, "set_means": [mean], "students": 5}
    points = [{"minutes": minutes, "mean": value, "std": 0.5, "students": 5} for minutes, value in by_minutes]
    return found | ({"by_minutes": points} if points else {})


def two(tmp_path):
    one = comparison(tmp_path, "random,dc", [row("random", 60.0), row("dc", 85.0, [(2, 80.0), (5, 85.0)])])
    other = comparison(tmp_path, "dm", [row("multi_formation", 90.0, [(2, 88.0), (5, 90.0)])])
    return [one, other]


def test_comparisons_of_one_setting_share_a_table_and_a_plot(tmp_path):
    text = times.tabulated(two(tmp_path))
    assert "| MNIST, 1 image per class | 2 min | 5 min |" in text
    assert "| DC | 80.0 ± 0.5 | 85.0 ± 0.5 |" in text
    assert "| DM: multi\\_formation | 88.0 ± 0.5 | 90.0 ± 0.5 |" in text
    assert "Real images: random 60.0 ± 1.0. ConvNet-32; students are trained for 300 epochs." in text
    times.plot(tmp_path / "times.png", two(tmp_path))
    assert (tmp_path / "times.png").stat().st_size > 10_000


def test_the_report_fills_in_the_times_once_and_refuses_to_draw_none(tmp_path):
    for number, each in enumerate(two(tmp_path)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comparison.json").write_text(json.dumps(each.result))
    readme = tmp_path / "R.md"
    readme.write_text("<!-- results -->\n<!-- /results -->\n<!-- times -->\n<!-- /times -->\n")
    command.report([str(tmp_path), "--readme", str(readme), "--times", str(tmp_path / "times.png")])
    assert readme.read_text().count("80.0 ± 0.5") == 1
    assert "85.0 ± 1.0" not in readme.read_text()  # the table of results leaves them to that of times
    untimed = comparison(tmp_path, "random", [row("random", 60.0)])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "comparison.json").write_text(json.dumps(untimed.result))
    with pytest.raises(dc.InputError, match="nothing for --times to draw"):
        command.report([str(tmp_path / "other"), "--times", str(tmp_path / "times.png")])
