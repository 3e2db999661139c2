"""Figures of runs and comparisons are put into tables: those that belong together are one, and no others."""

import re
import shlex

import numpy as np
import pytest
from written import COMPARISON, cell, compared, find, result, score, tabulated, write

from experiments.report import documents, labels, merged, words
from experiments.report.cells import Figure, Setting, of_comparison, of_run
from experiments.report.pooling import pooled
from experiments.settings.parse import parse
from experiments.settings.saved import dump


def test_comparisons_of_the_same_data_and_evaluation_are_one_table(tmp_path):
    few, many = cell("random", 1, 60.0) | {"students": 1}, cell("random", 1, 66.0) | {"students": 30}
    herding = cell("herding", 10, 37.0)
    compared(tmp_path / "a", [few, herding, cell("dc", 1, 61.0), cell("whole", None, 85.0)])
    filled_in = {**COMPARISON["evaluation"], "eval_recipe": "dc", "eval_mix": "none", "eval_views": "all"}
    compared(tmp_path / "b", [many], "-- --num-students 30 --data-dir x", evaluation=filled_in)
    compared(tmp_path / "c", [cell("dm", 1, 50.0)], "-- --width 32")
    compared(tmp_path / "d", [cell("dm", 1, 40.0)], evaluation={**filled_in, "eval_epochs": 9})
    found = find(tmp_path)
    (_, figures, together), narrow, brief = documents.grouped(found.comparisons)
    assert [each.path.name for each in together] == ["a", "b"]
    assert (narrow[0].network, brief[0].evaluation) == ("ConvNet-32", "9 epochs")
    assert [heading for heading, _ in merged.columns(merged.table(figures))] == [
        *("1 per class", "paper", "random", "10 per class", "paper")
    ]
    text = documents.details(found)
    assert tabulated(text)[0] == [
        ["method", "1 per class", "paper", "random", "10 per class", "paper"],
        ["---"] * 6,
        ["DC", "61.0 ± 1.0 (below random)", "28.3 ± 0.5", "66.0 ± 1.0", "", ""],
        ["random", "66.0 ± 1.0", "14.4 ± 2.0", "", "", ""],
        ["herding", "", "", "", "37.0 ± 1.0", "31.6 ± 0.7"],
        ["whole, 300 epochs", "85.0 ± 1.0", "84.8 ± 0.1", "", "85.0 ± 1.0", "84.8 ± 0.1"],
    ]
    assert all(f"- `{each.command}`" in text for each in found.comparisons)


@pytest.mark.parametrize(
    "passed", ["-- --iterations 5", "-- --width 32", "-- --image-size 16", "-- --norm batch", "-- --zca-epsilon 0.5"]
)
def test_a_paper_s_figure_stands_beside_the_same_setting_alone(passed, tmp_path):
    for command, has in (("", True), ("-- --num-students 3 --coreset-epochs 2 --seed 4", True), (passed, False)):
        found = find(compared(tmp_path / str(len(command)), [cell("dc", 1, 28.0)], command))
        assert ("28.3 ± 0.5" in documents.readme(found)) == has
    brief = {**COMPARISON["evaluation"], "eval_epochs": 20}
    rows = [cell("whole", None, 80.0), cell("dc", 1, 20.0)]
    assert "paper |" not in documents.readme(find(compared(tmp_path / "brief", rows, evaluation=brief)))


def test_a_readme_has_a_table_for_each_data_set_of_methods_and_no_commands(tmp_path):
    write(tmp_path / "run", "result.json", result(complete=False, paper={"condensed": {"mean": 99.0}}))
    compared(tmp_path / "a", [cell("dc", 1, 50.0), cell("settle momentum 1", 1, 70.0)])
    found = find(tmp_path)
    text = documents.readme(found, "results/README.md")
    assert re.findall(r"^\*\*(.*)\*\*$", text, re.MULTILINE) == ["MNIST", "CIFAR-10"]
    (mnist, cifar) = tabulated(text)
    assert mnist[2][0:1] + mnist[2][3:] == ["DC", "91.9 ± 0.5 (a miss, not complete)", "99.0", "67.0 ± 0.5"]
    assert [row[0] for row in cifar] == ["method", "---", "DC"]
    assert "python -m" not in text
    assert text.endswith("[results/README.md](results/README.md).\n")


@pytest.mark.parametrize(("asked", "is_complete"), [(20, True), (21, False)])
@pytest.mark.parametrize("counts", [{"students": 20}, {"students": 19, "diverged": 1}])
def test_a_figure_of_every_student_is_complete_though_its_run_is_not(asked, counts, is_complete, tmp_path):
    content = result(complete=False, accuracy={"condensed": score(91.89) | counts})
    content["config"]["num_students"] = asked
    (run,) = find(write(tmp_path / "run", "result.json", content)).runs
    assert of_run(run).is_complete == is_complete


def test_runs_that_differ_in_their_seed_are_one_figure(tmp_path):
    for seed, values in enumerate(([90.0, 92.0], [94.0, 96.0])):
        accuracy = {"condensed": {**score(float(np.mean(values)), students=2), "values": values}}
        content = result(accuracy=accuracy, paper={})
        write(
            tmp_path / "several" / str(seed),
            "result.json",
            {**content, "command": f"{content['command']} --seed {seed}"},
        )
    ((_, _, line),) = tabulated(documents.readme(find(tmp_path)))
    assert line[-1] == "93.0 ± 2.2"


@pytest.mark.parametrize(
    ("seeds", "values", "expected"),
    [
        ((0, 1, 2), ([80.0], [80.0], [90.0]), "83.3 ± 4.7"),  # two seeds may come to the same
        ((0, 0), ([80.0], [80.0]), "80.0"),  # a copy
        ((0, 0), ([80.0], [80.0, 90.0]), "85.0 ± 5.0"),  # the same first student
    ],
)
def test_the_students_of_every_seed_count_once(seeds, values, expected, tmp_path):
    for i, (seed, each) in enumerate(zip(seeds, values)):
        accuracy = {"condensed": {"mean": np.mean(each), "std": np.std(each), "students": len(each), "values": each}}
        content = result(accuracy=accuracy, paper={})
        content["config"]["seed"] = seed
        write(tmp_path / str(i), "result.json", content)
    ((_, _, line),) = tabulated(documents.readme(find(tmp_path)))
    assert line[-1] == expected


def test_a_comparison_of_fewer_students_does_not_take_the_place_of_runs(tmp_path):
    for seed in range(2):
        own = {**score(90.0, students=4), "values": [90.0 + seed] * 4}
        content = result("dc", "cifar10", 1, {"condensed": own}, {})
        content["config"] |= {"seed": seed, "eval_epochs": 300}
        write(tmp_path / str(seed), "result.json", content)
    compared(tmp_path / "compared", [cell("dc", 1, 70.0) | {"students": 6}])
    ((_, _, line),) = tabulated(documents.readme(find(tmp_path)))
    assert line[3] == "90.5 ± 0.5"


def test_of_runs_of_several_seeds_random_images_are_those_of_most_students(tmp_path):
    for seed, random in enumerate((None, score(95.0, students=2), score(96.0, students=1))):
        own = {**score(90.0, students=1), "values": [90.0 + seed]}
        content = result(accuracy={"condensed": own} | ({"random": random} if random else {}), paper={})
        content["config"]["seed"] = seed
        write(tmp_path / str(seed), "result.json", content)
    ((_, _, line),) = tabulated(documents.readme(find(tmp_path)))
    assert line[-2:] == ["91.0 ± 0.8 (below random)", "95.0 ± 0.5"]


@pytest.fixture(name="condensed_by")
def _condensed_by(tmp_path):
    """Gives the figure of a run of DM, at ten images per class of CIFAR-10, with further flags."""

    def figure(*flags):
        command = f"python -m experiments.run --method dm --dataset cifar10 --ipc 10 {' '.join(flags)}"
        accuracy = {"condensed": {**score(45.0), "values": [45.0, float(len(command))]}}
        content = result("dm", "cifar10", 10, accuracy, {}, command=command)
        content["config"] = dump(parse(shlex.split(command)[3:]))
        (run,) = find(write(tmp_path / str(len(command)), "result.json", content)).runs
        return of_run(run)

    return figure


def test_a_run_that_made_fewer_iterations_stands_beside_the_paper_and_says_so(condensed_by):
    found = condensed_by("--iterations", "740", "--num-students", "3", "--seed", "4")
    assert (found.label, found.is_own) == ("DM", True)
    assert (found.shortened, found.paper) == ((740, 20000), {"mean": 48.9, "std": 0.6})
    ((_, texts), _) = merged.columns(merged.table([found]))
    assert texts == ["45.0 ± 0.5 (a miss, 740 of 20000 iterations)"]


@pytest.mark.parametrize(
    "flags",
    [
        "--iterations 30000",
        "--iterations 740 --image-rate 0.1",
        "--iterations 740 --no-zca",
        "--iterations 740 --eval-epochs 300",
    ],
)
def test_a_run_that_departs_in_more_than_fewer_iterations_stands_alone(flags, condensed_by):
    found = condensed_by(*flags.split())
    assert (found.shortened, found.paper, found.is_own) == (None, None, False)


def test_of_runs_of_one_cell_the_longest_are_shown(condensed_by):
    shorter, short = (condensed_by("--iterations", number) for number in ("100", "1740"))
    whole = condensed_by("--seed", "1")
    assert pooled([shorter, short]).shortened == (1740, 20000)
    assert pooled([shorter, whole, short]).shortened is None


def test_random_images_are_the_same_in_their_row_and_beside_other_methods():
    setting = Setting("cifar10", "ConvNet-128", "300 epochs")
    of_one_draw, of_three = ({"mean": mean, "std": std, "students": 3} for mean, std in ((14.9, 0.4), (15.2, 1.1)))
    own = Figure(setting, "random", "random", 1, of_one_draw, 1, {"mean": 15.6, "std": 2.0}, None)
    several = own._replace(score=of_three, sets=3)
    run = Figure(setting, "dc", "DC", 1, score(27.6), 1, None, {"mean": 15.5, "std": 1.3, "students": 10})
    herding = Figure(setting, "herding", "herding", 1, score(20.8), 1, None, None)

    def told(*figures):
        return dict(merged.columns(merged.table(figures)))

    found = told(own, run, herding)
    assert found["1 per class"][1:] == ["15.5 ± 1.3 (a miss)", "20.8 ± 0.5"]
    assert found["random"] == ["15.5 ± 1.3", "", "15.5 ± 1.3"]
    assert told(own, several, herding)["random"][-1] == "15.2 ± 1.1", "of as many students those on more draws"


def test_random_images_that_were_chosen_otherwise_stand_for_themselves_alone():
    setting = Setting("cifar10", "ConvNet-128", "300 epochs")
    usual = Figure(setting, "random", "random", 1, score(50.5, students=2), 1, None, None)
    other = usual._replace(label="random, statistics own", score=score(41.0, students=3), is_own=False)
    dc_ = Figure(setting, "dc", "DC", 1, score(45.0), 1, None, None)
    found = dict(merged.columns(merged.table([usual, other, dc_])))
    assert found["1 per class"] == ["45.0 ± 0.5 (below random)", "41.0 ± 0.5"]
    assert found["random"] == ["50.5 ± 0.5", ""]


def test_rows_of_a_comparison_are_whitened_where_their_methods_are(tmp_path):
    rows = [cell("random", 1, 60.0), cell("dc", 1, 50.0), cell("bptt", 1, 40.0)]
    for command, is_whitened in (("", True), ("-- --no-zca", False)):
        (found,) = find(compared(tmp_path / command.strip("- "), rows, command)).comparisons
        networks = {each.method: each.setting.network for each in of_comparison(found)}
        assert networks["random"] == networks["dc"] == "ConvNet-128"
        assert networks["bptt"] == "ConvNet-128" + ", whitened" * is_whitened
        text = documents.details(find(found.path))
        assert text.count("real images are above DC: random by 10.0 points") == 1
        assert ("real images are above BPTT" in text) != is_whitened, "there are no random images of its setting"


def test_whitening_is_that_of_a_cell_with_its_epsilon(tmp_path):
    rows = [cell("mtt", ipc, 50.0) for ipc in (1, 50)]
    (found,) = find(compared(tmp_path / "a", rows)).comparisons
    assert [each.setting.network for each in of_comparison(found)] == ["ConvNet-128, whitened", "ConvNet-128"]
    (other,) = find(compared(tmp_path / "b", rows, "-- --zca-epsilon 0.5")).comparisons
    assert [each.beside for each in of_comparison(found)] == [("0.1",), ()]
    assert [each.beside for each in of_comparison(other)] == [("0.5",), ()]


def test_a_deviation_that_is_small_is_not_called_zero():
    assert words.accuracy({"mean": 98.246, "std": 0.02, "students": 3}) == "98.25 ± 0.02"
    assert words.accuracy({"mean": 98.246, "std": 0.05, "students": 3}) == "98.2 ± 0.1"
    assert words.accuracy({"mean": 98.246, "std": 0.0, "students": 3}) == "98.2 ± 0.0"
    assert words.accuracy({"mean": 98.246, "std": 0.02, "students": 1}) == "98.2"


def test_a_copy_of_a_run_counts_once_and_another_normalisation_is_another_setting():
    setting = Setting(*range(len(Setting._fields)))
    score = {"mean": 1.0, "std": 1.0, "students": 2, "values": [0.0, 2.0]}
    one = Figure(setting, "dc", "DC", 1, score, 1, None, None)
    other = one._replace(score={**score, "values": [4.0, 6.0]})
    assert pooled([one, one]).score["students"] == 2
    assert pooled([one, other, one]).score == {
        "mean": 3.0,
        "std": 5**0.5,
        "students": 4,
        "values": [0.0, 2.0, 4.0, 6.0],
    }
    elsewhere = one._replace(score={**score, "students": 3, "values": [1.0, 2.0, 3.0]}, beside=("5",))
    assert pooled([one, elsewhere]).score["students"] == 3, "images chosen by other networks are not pooled"
    assert labels.unshown("herding", {}) == labels.unshown(
        "herding", {"coreset_epochs": 20, "zca_epsilon": 0.1, "zca": False}
    )
    assert labels.unshown("herding", {"coreset_epochs": "5"}) == ("5",)
    assert labels.unshown("dc", {"zca": True, "zca_epsilon": 0.2}) == ("0.2",)
    assert labels.unshown("dc", {"zca_epsilon": 0.2}) == labels.unshown("a method of one's own", {}) == ()
    config = {"network": "convnet", "width": 8}
    assert labels.network({**config, "zca": True}) == labels.network({**config, "zca": ""}) == "ConvNet-8, whitened"
    assert labels.network({**config, "zca": False, "only_classes": [0, 1]}) == labels.network(
        {**config, "only_classes": "0,1"}
    )
