"""What a given time is worth: sets are evaluated after some minutes, tabulated and drawn."""

import json

import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline import figures, grid, save, tabulated
from experiments.pipeline.score import students_due
from experiments.report import __main__ as command
from experiments.report import page, times
from experiments.report.records import Comparison, Found
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
    with pytest.raises(dc.InputError, match="--iterations changes nothing beside --minutes"):
        parse(["--minutes", "2", "--iterations", "9"])
    with pytest.raises(dc.InputError, match="--eval-minutes names 2, but the run ends after --minutes 2"):
        parse(["--minutes", "2", "--eval-minutes", "1", "2"])


def test_a_run_is_evaluated_after_minutes_and_may_go_on_for_more(tmp_path):
    place = tmp_path / "run"
    words = ["--network", "mlp", "--num-students", "2", "--eval-epochs", "2", "--no-baseline", "--workdir", str(place)]
    run([*words, "--minutes", "0.02", "--eval-minutes", "0.002"])
    first = json.loads((place / "result.json").read_text())
    assert [each["began"] < 0.002 <= each["minutes"] for each in first["on_the_way"]] == [True]
    assert first["on_the_way"][0]["students"] == 2
    assert first["on_the_way"][0]["iteration"] < first["config"]["iterations"]
    run([*words, "--minutes", "0.03", "--eval-minutes", "0.002", "0.02", "--resume"])
    later = json.loads((place / "result.json").read_text())
    assert later["config"]["iterations"] > first["config"]["iterations"]
    assert later["on_the_way"][0] == first["on_the_way"][0]
    assert later["on_the_way"][1]["iteration"] == first["config"]["iterations"]  # where it had ended


def finished(on_the_way, mean, words=("--minutes", "15", "--eval-minutes", "2", "5")):
    passed = [{"began": m - 0.1, "minutes": m, "mean": value, "std": 1.0, "students": 2} for m, value in on_the_way]
    accuracy = {"condensed": {"mean": mean, "std": 1.0, "values": [mean - 1, mean + 1], "students": 2}}
    result = {"accuracy": accuracy, "on_the_way": passed, "condense_seconds": 906.0}
    result["config"] = {"iterations": 10, "matches": 1}
    return tabulated.Finished("dc", 1, parse(list(words)), result)


def test_a_row_has_what_all_sets_came_to_as_they_passed_each_minute_mark():
    (row,) = tabulated.rows([finished([(2.01, 60.0), (5.02, 70.0)], 80.0), finished([(2.05, 64.0)], 86.0)])
    two, last = row["by_minutes"]  # the second set was not evaluated when it passed five minutes
    assert (two["mark"], two["minutes"], two["mean"], two["students"]) == (2, 2.03, 62.0, 4)
    assert (last["mark"], last["minutes"], last["mean"]) == (15, 15.1, 83.0)
    spread = np.concatenate([[59, 61], [63, 65]]).std()  # of the students whose means and deviations are known
    assert two["std"] == pytest.approx(spread, abs=0.01)


def test_a_set_whose_minutes_or_students_are_not_known_leaves_the_others():
    lost, older = finished([(2.01, 60.0)], 80.0), finished([(2.01, 60.0)], 80.0)
    del lost.result["condense_seconds"], older.result["on_the_way"][0]["students"]
    (row,) = tabulated.rows([lost])
    assert [point["mark"] for point in row["by_minutes"]] == [2]
    (row,) = tabulated.rows([older, finished([(2.01, 62.0)], 80.0)])
    assert [(point["mean"], point.get("students")) for point in row["by_minutes"]] == [(61.0, None), (80.0, 4)]


def test_an_evaluation_stands_for_the_marks_that_its_iteration_passed_and_no_others():
    late = {"began": 3.0, "minutes": 6.0, "mean": 60.0, "std": 1.0, "students": 2}
    result = {"on_the_way": [late]}
    assert [tabulated._after(mark, result) for mark in (2, 3, 4, 6, 7)] == [None, None, late, late, None]


def test_an_iteration_that_begins_just_before_a_mark_passes_it():
    timed = [{"iteration": 1, "loss": 1.0, "seconds": 0.1199}, {"iteration": 2, "loss": 1.0, "seconds": 0.05}]
    found = save._on_the_way([*timed, {"iteration": 2, "accuracy": 60.0, "deviation": 1.0, "students": 2}])
    assert tabulated._after(0.002, found)["iteration"] == 2  # began 0.1 ms before 0.12 s


def test_runs_of_a_comparison_go_on_for_more_minutes_but_not_for_other_settings(tmp_path):
    words = ["--network", "mlp", "--workdir", str(tmp_path)]
    (tmp_path / "config.json").write_text(json.dumps(dump(parse([*words, "--minutes", "5"]))))
    grid.check_place(parse([*words, "--minutes", "15", "--eval-minutes", "2"]))
    begun = dump(parse([*words, "--minutes", "5"])) | {
        "workdir": "where it was before",
        "iterations": 9,
    }  # which an earlier version took beside minutes
    (tmp_path / "config.json").write_text(json.dumps(begun))
    grid.check_place(parse([*words, "--minutes", "15"]))
    with pytest.raises(dc.InputError, match="holds a run with other settings"):
        grid.check_place(parse(words))
    with pytest.raises(dc.InputError, match="when its time is up: give --minutes None, too"):
        parse([*words, "--iterations", "9", "--resume"])
    assert parse([*words, "--iterations", "12", "--minutes", "None", "--resume"]).iterations == 12
    with pytest.raises(dc.InputError, match="holds a run of 5 minutes: give --minutes 5 or more"):
        grid.check_place(parse([*words, "--minutes", "2"]))


def test_a_run_is_not_finished_of_which_more_minutes_or_students_are_wanted():
    five, fifteen = (parse(["--minutes", minutes]) for minutes in ("5", "15"))
    accuracy = {"condensed": {"students": 19, "diverged": 1}, "random": {"students": 20}}
    result = {
        "complete": True,
        "condense_seconds": 300.4,
        "accuracy": accuracy,
    }  # that of the first five, which stays until the next is written
    assert not grid._lacks(parse(["--minutes", "5", "--num-students", "3"]), result)
    assert grid._lacks(parse(["--minutes", "5", "--num-students", "21"]), result)
    assert not grid._lacks(five, result)
    assert grid._lacks(fifteen, result)
    assert grid._lacks(five, {**result, "complete": False})
    assert not grid._lacks(
        parse(["--method", "random", "--num-students", "20"]), {"complete": True, "accuracy": accuracy}
    )


def comparison(path, methods, rows):
    words = f"python -m experiments.compare --dataset mnist --methods {methods} --ipc 1 -- --width 32 --minutes 5 --eval-minutes 2"
    evaluation = {"eval_recipe": "dc", "eval_epochs": 300, "eval_augment": "none"}
    return Comparison(path, {"command": words, "dataset": "mnist", "evaluation": evaluation, "rows": rows})


def row(method, mean, by_minutes=()):
    found = {"method": method, "ipc": 1, "mean": mean, "std": 1.0, "set_means": [mean], "students": 5}
    points = [
        {"mark": mark, "minutes": minutes, "mean": value, "std": 0.5, "students": 5}
        for mark, minutes, value in by_minutes
    ]
    return found | ({"by_minutes": points} if points else {})


def two(tmp_path):
    one = comparison(tmp_path, "random,dc", [row("random", 60.0), row("dc", 85.0, [(2, 2.01, 80.0), (5, 5.0, 85.0)])])
    other = comparison(tmp_path, "dm", [row("multi_formation", 90.0, [(2, 2.5, 88.0), (5, 5.0, 90.0)])])
    return [one, other]


def test_comparisons_of_one_setting_share_a_table_and_a_plot(tmp_path):
    text = times.tabulated(two(tmp_path))
    assert "| MNIST | 1 per class, 2 min | 1 per class, 5 min |" in text
    assert "| DC | 80.0 ± 0.5 | 85.0 ± 0.5 |" in text
    assert "| DM: multi\\_formation | 88.0 ± 0.5 (2.5 min) | 90.0 ± 0.5 |" in text
    assert (
        "Real images: at 1 per class random 60.0 ± 1.0. ConvNet-32; students are trained for 300 epochs. Minutes are those"
        in text
    )


def test_the_page_says_what_sets_came_to_after_some_minutes(tmp_path):
    found = two(tmp_path)
    shown = page.html(Found(comparisons=found))
    assert "Accuracy after some minutes: MNIST, ConvNet-32, 300 epochs<" in shown
    assert "80.0 ± 0.5" in shown
    assert "88.0 ± 0.5 (2.5 min)" in shown
    untimed = Found(comparisons=[comparison(tmp_path, "random", [row("random", 60.0)])])
    assert "after some minutes" not in page.html(untimed)


def test_rows_of_one_name_are_told_apart(tmp_path):
    one, _ = two(tmp_path)
    (panel,) = times.panels([one, one._replace(path=tmp_path / "again")])
    assert [*panel.methods] == ["DC", "DC (again)"]
    other = one._replace(result={**one.result, "command": one.command + " --image-rate 1"})
    (panel,) = times.panels([one, other])
    assert [*panel.methods] == ["DC", "DC, image rate 1"]


def test_every_panel_and_every_choice_of_real_images_is_drawn(tmp_path, monkeypatch):
    one, _ = two(tmp_path)
    wide = one._replace(result={**one.result, "command": one.command.replace("--width 32", "--width 128")})
    chosen = [row(name, 50.0) for name in ("random", "herding", "k_center", "forgetting", "kmeans", "whole")]
    wide.result["rows"] = [*chosen, *one.rows[1:]]
    shown = []
    monkeypatch.setattr(figures, "_save", lambda figure, path, dpi: shown.append(figure))
    times.plot(tmp_path / "times.png", [one, wide])
    legends = [{text.get_text() for text in axis.get_legend().get_texts()} for axis in shown[0].axes]
    assert [axis.get_title() for axis in shown[0].axes] == [
        "MNIST, 1 image per class, ConvNet-32",
        "MNIST, 1 image per class, ConvNet-128",
    ]
    assert len(legends[1]) == 7


def test_the_report_fills_in_the_times_once_and_refuses_to_draw_none(tmp_path):
    for number, each in enumerate(two(tmp_path)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comparison.json").write_text(json.dumps(each.result))
    readme = tmp_path / "R.md"
    readme.write_text("<!-- results -->\n<!-- /results -->\n<!-- times -->\n<!-- /times -->\n")
    command.report([str(tmp_path), "--readme", str(readme), "--times", str(tmp_path / "times.png")])
    assert readme.read_text().count("80.0 ± 0.5") == 1
    assert "85.0 ± 1.0" not in readme.read_text()  # the table of results leaves them to that of times
    readme.write_text("<!-- results -->\n<!-- /results -->\n<!-- times -->\nthe rest")
    with pytest.raises(dc.InputError, match="below it a line <!-- /times -->"):
        command.report([str(tmp_path), "--readme", str(readme)])
    assert readme.read_text().endswith("the rest")
    untimed = comparison(tmp_path, "random", [row("random", 60.0)])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "comparison.json").write_text(json.dumps(untimed.result))
    with pytest.raises(dc.InputError, match="nothing for --times to draw"):
        command.report([str(tmp_path / "other"), "--times", str(tmp_path / "times.png")])
