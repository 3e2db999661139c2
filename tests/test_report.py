"""A report says what was measured, misses included, and the page it makes needs nothing outside itself."""

import base64
import dataclasses
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest
from helpers import small_data
from written import COMPARISON, cell, compared, find, measured, result, score, tabulated, write

import dcjax as dc
from experiments.report import charts, documents, heat, markdown, page, records, tables, times, words
from experiments.report.__main__ import BEGIN, END, main, replaced
from experiments.settings.parse import parse
from experiments.settings.saved import dump

ROOT = Path(__file__).parents[1]
OPTIONAL = ("condensed.npz", "condensed.png", "metrics.jsonl", "evaluation.json")
NAMES = ("<script>alert(1)</script>", "a|b", '"quoted" & more')
COMMAND = {"command": "python -m experiments.evaluate runs/dc"}


def case(network, augmented, mean, **others):
    accuracy = {"condensed": score(mean), "random": score(mean - 10), "whole": score(90.0) | {"epochs": 300}}
    return {"network": network, "recipe": "own", "augmented": augmented, "accuracy": accuracy, **COMMAND, **others}


EVALUATION = {
    "settings": {"width": 16},
    "rows": [
        case("convnet", True, 80.0, relative=0.889, hlr=0.1, ior=-0.1, lrs=0.4, ars=None),
        case("mlp", False, 50.0, relative=0.556, hlr=0.4, ior=0.1, lrs=0.3, ars=None),
    ],
    "scores": {},
}


def page_of(run):
    return page.html(records.Found([run]))


@pytest.fixture(name="complete", scope="module")
def _complete(tmp_path_factory):
    """A run directory with every file: images that leave [0, 1], of three classes with names that are markup."""
    path = tmp_path_factory.mktemp("complete") / "run"
    write(path, "result.json", result())
    data = dataclasses.replace(small_data(channels=3), class_names=NAMES)
    batch = data.sample(jax.random.key(0), 3)
    batch = batch._replace(image=2 * batch.image)
    dc.save_condensed(path / "condensed.npz", batch, dc.Learned({"image": batch.image}, ()), data, {"method": "dc"})
    PIL.Image.fromarray(np.zeros((4, 6), np.uint8)).save(path / "condensed.png")
    rows = [{"iteration": t, "loss": 8.0 / t} for t in range(1, 5)]
    rows.append({"iteration": 2, "accuracy": 80.0, "deviation": 1.0})
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"iteration": 5, "lo')
    write(path, "evaluation.json", EVALUATION)
    return path


@pytest.mark.parametrize(
    ("mean", "shown", "is_miss"),
    [(91.89, "+0.2", False), (91.66, "0.0", False), (91.64, "−0.1", True), (88.0, "−3.7", True)],  # noqa: RUF001
)
def test_the_difference_is_ours_less_the_papers_and_a_miss_is_marked(tmp_path, mean, shown, is_miss):
    run = measured(tmp_path, accuracy={"condensed": score(mean)})
    row = tables.row(run)
    assert (row.paper, row.difference) == ("91.7 ± 0.5", shown)
    assert row.failures == ({"difference"} if is_miss else set())
    assert (f"**{shown} (a miss)**" in markdown.results([run])) == is_miss
    assert ("1 missed" in page_of(run)) == is_miss


def test_below_random_is_said_of_condensed_sets(tmp_path):
    low = {"condensed": score(60.0), "random": score(67.0)}
    for method, said in (("dc", True), ("herding", False)):
        run = measured(tmp_path, method=method, accuracy=low)
        assert ("**60.0 ± 0.5 (below random)**" in markdown.results([run])) == said


def test_columns_hold_what_is_known_and_empty_ones_are_left_out(tmp_path):
    paper = {"whole": {"mean": 99.6, "std": 0.1}, "random": {"mean": 64.9, "std": 3.5}}
    by_epochs = {"whole": score(99.4, students=3) | {"epochs": 1000}}
    whole = measured(tmp_path, method="whole", accuracy=by_epochs, paper=paper)
    heading, _, line = markdown.results([whole]).splitlines()
    cells = dict(zip(heading.strip("| ").split(" | "), line.strip("| ").split(" | ")))
    assert cells == {
        "data": "MNIST",
        "method": "whole",
        "images per class": "all",
        "paper": "99.6 ± 0.1",
        "difference": "**−0.2 (a miss)**",  # noqa: RUF001
        "whole": "99.4 ± 0.5, 1000 epochs",
        "students": "3",
        "network": "ConvNet-128",
        "command": "`python -m experiments.run --method whole --ipc 1`",
        "hardware and time": "1 x cpu",
    }
    timed = measured(tmp_path, paper=paper, condense_seconds=6582.8, seconds_per_iteration=5.321)
    assert "| 67.0 ± 0.5 (paper 64.9 ± 3.5) |" in markdown.results([timed])
    assert tables.row(timed).machine == "1 x cpu, 1.8 h, 5.3 s an iteration"


def test_runs_are_ordered_by_dataset_method_and_size_and_a_folder_holds_many(tmp_path):
    cells = [("dm", "zoo", 1), ("dc", "mnist", 10), ("herding", "mnist", 1), ("dc", "mnist", 2), ("dc", "cifar10", 1)]
    for method, dataset, ipc in cells:
        write(tmp_path / f"{method}-{dataset}-{ipc}", "result.json", result(method, dataset, ipc))
    write(tmp_path / "unfinished", "config.json", {})
    runs, comparisons, courses, searches = find(tmp_path, tmp_path / "dm-zoo-1")
    assert [(run.config["method"], run.config["dataset"], run.config["ipc"]) for run in runs] == [
        ("dc", "mnist", 2),
        ("dc", "mnist", 10),
        ("herding", "mnist", 1),
        ("dc", "cifar10", 1),
        ("dm", "zoo", 1),
    ]
    assert comparisons == courses == searches == []


def test_a_cell_of_markdown_is_neither_markup_nor_two_cells(tmp_path):
    run = measured(tmp_path, dataset="a|b<i>*c*", command="echo 'a|b' `x`")
    line = markdown.results([run]).splitlines()[2]
    assert r"| a\|b&lt;i>\*c\* | DC |" in line
    assert r"| `` echo 'a\|b' `x` `` |" in line


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(name="shown", scope="module")
def _shown(complete, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert main([str(complete), "--html", str(out)]) == 0
    return out.read_text()


def test_the_page_needs_nothing_outside_itself(shown):
    found = Page(shown)
    names = ("src", "href", "srcset", "action", "data")
    addresses = [tag[name] for _, tag in found.tags for name in names if name in tag]
    assert len(addresses) > 4
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not found.every("script")
    assert not re.search(r"url\(|@import|https?://", shown)


def test_the_page_can_be_read_without_seeing_it(shown):
    found = Page(shown)
    assert [image["alt"] for image in found.every("img")] == [f"3 condensed images of class {name}" for name in NAMES]
    assert all(heading["scope"] in ("col", "row") for heading in found.every("th"))
    assert all(drawn["aria-label"] and drawn["role"] == "img" for drawn in found.every("svg"))
    assert {"region"} == {box["role"] for box in found.every("div") if box.get("class") == "scroll"}
    ids = [tag["id"] for _, tag in found.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    assert {link["href"].removeprefix("#") for link in found.every("a")} <= set(ids)


def test_what_comes_from_files_is_text(shown, tmp_path):
    assert set(NAMES) <= set(Page(shown).texts)
    bad = "<img src=x onerror=alert(1)>"
    run = measured(tmp_path, dataset=bad, hardware=bad, command=bad, method=bad)
    found = Page(page_of(run))
    assert not found.every("img")
    assert bad in found.texts


def test_pictures_are_the_images(shown, complete):
    (image, *_) = Page(shown).every("img")
    content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    mosaic = np.asarray(PIL.Image.open(io.BytesIO(content)))
    pixels = dc.load_condensed(complete / "condensed.npz").pixels[0]
    assert mosaic.shape == (8, 3 * 8 + 2, 4)
    assert (int(image["width"]), int(image["height"])) == (8 * 26, 64)
    for i, expected in enumerate(pixels):
        shown_pixels = mosaic[:, 9 * i : 9 * i + 8]
        np.testing.assert_allclose(shown_pixels[..., :3], 255 * np.clip(expected, 0, 1), atol=0.51)
        assert (shown_pixels[..., 3] == 255).all()
    assert (mosaic[:, 8, 3] == 0).all()  # the gap lets the page through


def test_a_report_shows_what_is_there(complete, tmp_path):
    """Any of the optional files may be missing."""
    for left_out in (*OPTIONAL, None):
        path = tmp_path / str(left_out)
        path.mkdir()
        for name in ("result.json", *OPTIONAL):
            if name != left_out and left_out is not None:
                (path / name).write_bytes((complete / name).read_bytes())
        write(path, "result.json", result())
        text = page.html(find(path))
        found = Page(text)
        images = {"condensed.npz": 1, None: 0}.get(left_out, 3)  # the run's own picture stands in
        assert len(found.every("img")) == images
        assert len(found.every("svg")) == (0 if left_out in ("metrics.jsonl", None) else 2)
        assert ("Across networks" in text) == (left_out not in ("evaluation.json", None))


def test_curves_are_where_the_numbers_are(complete):
    (run,) = find(complete).runs
    loss, accuracy = charts.loss(run), charts.accuracy(run)
    heights = [y for _, y in loss.line]
    rate = (heights[1] - heights[0]) / (8 - 4)  # pixels a unit
    np.testing.assert_allclose(np.diff(heights), rate * np.array([4, 8 / 2 - 8 / 3, 8 / 3 - 2]), atol=0.11)
    assert "from 8 at the start to 2 at iteration 4" in loss.summary
    assert accuracy.summary == "80.0 ± 1.0 at iteration 2; 91.9 ± 0.5 at iteration 4; random real images 67.0"
    (level, _, _), *_ = accuracy.levels
    (_, first, low, high), (_, last, _, _) = accuracy.dots
    assert high < first < low < level  # downwards on the screen
    np.testing.assert_allclose((first - last) / (low - high), 11.89 / 2, rtol=0.02)


def test_a_loss_that_falls_far_is_logarithmic_and_a_long_one_averaged(tmp_path):
    run = measured(tmp_path)
    falling = charts.loss(run._replace(history=[{"iteration": t, "loss": 10.0**-t} for t in range(5)]))
    np.testing.assert_allclose(np.diff([y for _, y in falling.line]), (charts.BOTTOM - charts.TOP) / 4, atol=0.11)
    rows = [{"iteration": t, "loss": float(t % 2)} for t in range(1, 601)]
    long = charts.loss(run._replace(history=rows))
    assert "mean of every 2 iterations" in long.title
    assert len(long.line) == 300
    assert len({y for _, y in long.line}) == 1
    assert charts.loss(run._replace(history=rows[:1])) is None
    assert charts.loss(run._replace(history=[{"iteration": t, "loss": float("nan")} for t in range(9)])) is None


def test_heat_is_the_place_between_the_least_and_the_greatest():
    found = heat.networks(EVALUATION)
    scores = ["HLR", "IOR", "LRS"]  # no ARS was measured
    assert found.columns == ["condensed", "random", "whole, 300 epochs", "relative to whole", *scores]
    (network, recipe, cells), (_, plain, _) = found.rows
    assert (network, recipe, plain) == ("ConvNet-16", "own", "own, no augmentation")
    assert [cell.text for cell in cells] == [
        *("80.0 ± 0.5", "70.0 ± 0.5", "90.0 ± 0.5"),
        *("0.889", "0.100", "−0.100", "0.400"),  # noqa: RUF001
    ]
    assert [cell.heat for cell in cells] == [0.8, 0.6, 1.0, 1.0, None, None, None]  # from 40 to 90; from 0.556 to 0.889


def test_sets_of_one_dataset_stand_beside_each_other(complete):
    (run,) = find(complete).runs
    other = {"settings": {"width": 16}, "rows": [case("mlp", False, 60.0)]}
    dm = run._replace(path=Path("dm"), result=result("dm"), evaluation=other)
    ((data, found),) = heat.across([run, dm])
    assert (data, found.columns) == ("MNIST", ["DC, 1 per class", "DM, 1 per class"])
    assert [[cell.text for cell in cells] for _, _, cells in found.rows] == [
        ["80.0 ± 0.5", ""],
        ["50.0 ± 0.5", "60.0 ± 0.5"],
    ]
    assert heat.across([run]) == []


VERDICT = "At 1 image per class, real images are above DC: herding by 2.0, random by 0.5 points."


def test_a_comparison_is_methods_by_sizes_and_says_where_real_images_win(tmp_path):
    (found,) = find(write(tmp_path / "compare", "comparison.json", COMPARISON)).comparisons
    text = markdown.comparison(found)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table == [
        "| method | 1 per class | 10 per class |",
        "| --- | --- | --- |",
        "| herding | 70.0 ± 1.0 | 80.0 ± 1.0 |",
        "| random | 68.5 ± 1.0 |  |",
        "| DC | 68.0 ± 1.0 | 90.0 ± 1.0 |",
        "| whole, 300 epochs | 99.0 ± 1.0 | 99.0 ± 1.0 |",
    ]
    assert [line for line in text.splitlines() if "above" in line] == [VERDICT]
    shown = page.html(records.Found(comparisons=[found]))
    assert "Methods compared on CIFAR-10, ConvNet-128, 300 epochs" in shown
    assert VERDICT in Page(shown).texts
    best = ["90.0", "70.0"]  # of each size, the whole left aside; DC's row comes first
    assert re.findall(r'class="number own">([\d.]+)', shown) == best


def test_a_note_beside_a_run_is_shown_with_its_machine(tmp_path):
    assert tables.row(measured(tmp_path, note="From a copy.")).machine == "1 x cpu, From a copy."


def test_a_run_that_is_not_complete_says_so(tmp_path):
    run = measured(tmp_path, complete=False, against_random={"sentence": "Condensed is above random by 1 point."})
    assert "**DC (not complete)**" in markdown.results([run])
    texts = Page(page_of(run)).texts
    assert texts.count("not complete") == 2  # in the table and beside its figures
    assert "Condensed is above random by 1 point." in texts
    assert "not complete" not in page_of(measured(tmp_path / "whole", complete=True))


def test_the_table_of_runs_names_what_is_not_complete_and_iterations_that_were_left_out(tmp_path):
    command = "python -m experiments.run --method dm --dataset cifar10 --ipc 10 --iterations 740"
    content = result("dm", "cifar10", 10, {"condensed": score(45.0)}, {}, complete=False, command=command)
    content["config"] = dump(parse(shlex.split(command)[3:]))
    (run,) = find(write(tmp_path / "run", "result.json", content)).runs
    found = tables.row(run)
    assert found.notes["method"] == "random or whole not complete, 740 of 20000 iterations"
    assert (found.paper, found.difference, found.notes["difference"]) == ("48.9 ± 0.6", "\N{MINUS SIGN}3.9", "a miss")


def test_the_whole_set_stands_beside_the_paper_only_at_its_epochs(tmp_path):
    paper = {"whole": {"mean": 99.6, "std": 0.0}}
    for epochs, shown in ((1000, "99.6 ± 0.0"), (30, "")):
        accuracy = {"whole": score(99.0) | {"epochs": epochs}}
        row = tables.row(measured(tmp_path / str(epochs), method="whole", accuracy=accuracy, paper=paper))
        assert (row.paper, row.whole) == (shown, f"99.0 ± 0.5, {epochs} epochs")


def test_scores_against_a_whole_set_of_unknown_epochs_are_left_out():
    rows = [case("mlp", True, 80.0, relative=0.9, hlr=0.1, ior=0.2, lrs=0.4)]
    del rows[0]["accuracy"]["whole"]["epochs"]
    found = heat.networks({"settings": {"whole_epochs": 20}, "rows": rows})
    assert found.columns == ["condensed", "random", "whole, 20 epochs", "IOR"]
    assert len(found.left_out) == 1
    said = heat.networks({"settings": {}, "rows": [case("mlp", True, 80.0, left_out="Because.")]})
    assert said.left_out == ["Because."]


def test_the_sets_of_a_comparison_are_shown(tmp_path):
    compared(tmp_path / "a", [cell("dc", 1, 50.0)])
    (tmp_path / "a" / "dc-1-0").mkdir()
    PIL.Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a" / "dc-1-0" / "condensed.png")
    (image,) = Page(page.html(find(tmp_path))).every("img")
    assert image["alt"] == "The images of dc-1-0"


CONTINUAL = {
    "command": "python -m experiments.continual --data digits",
    "data": ["digits"],
    "rows": [
        {
            **{"method": "herding", "training": "onward", "orders": 2, "bytes": [0, 2560]},
            "accuracy": [score(98.0), score(91.0)],
            "forgetting": score(7.0),
        }
    ],
    "hardware": "1 x cpu",
    "seconds": 30.0,
}


SEARCH = {
    "command": "python -m experiments.architectures x",
    "dataset": "digits",
    "asked_for": 2,
    "complete": False,
    "rows": [
        {
            "proxy": "dc",
            "candidates": 1,
            "top": {"value": 0.5, "low": 0.1, "high": 0.8},
            "chosen": "convnet:depth=1",
            "chosen_accuracy": 97.0,
        }
        | {"seconds": 90.0, "images": 10},
        {"proxy": "whole", "candidates": 1},
    ],
}


def test_continual_learning_and_searches_are_tables_with_their_commands(tmp_path):
    write(tmp_path / "course", "continual.json", CONTINUAL)
    write(tmp_path / "search", "architectures.json", SEARCH)
    text = documents.details(find(tmp_path))
    course, search = tabulated(text)
    assert course[2] == ["herding", "onward", "98.0 ± 0.5", "91.0 ± 0.5", "7.0 ± 0.5", "2.56 kB"]
    assert course[0][2:4] == ["step 1 of 2", "step 2 of 2"]
    assert search[2] == ["dc", "0.50 (0.10 to 0.80)", "", "depth=1", "97.0", "1.5", "10"]
    assert (
        "2 networks on scikit-learn's digits (not complete: 1 of them so far); `python -m experiments.architectures x`."
        in text
    )
    assert "`python -m experiments.continual --data digits`, on 1 x cpu, 30 s." in text


def test_a_data_set_of_one_s_own_goes_by_its_file():
    assert (words.dataset("npz:some/where.npz"), words.dataset("mnist")) == ("where.npz", "MNIST")


def test_the_tables_in_a_readme_are_replaced_and_nothing_else(tmp_path, capsys):
    run = write(tmp_path / "run", "result.json", result())
    readme, details = tmp_path / "README.md", tmp_path / "docs.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter {BEGIN}\n")
    for _ in range(2):
        assert main([str(run), "--readme", str(readme), "--details", str(details)]) == 0
        text = documents.readme(find(run), "docs.md")
        assert readme.read_text() == f"before\n{BEGIN}\n\n{text}\n{END}\nafter {BEGIN}\n"
        assert details.read_text() == documents.details(find(run))
    assert documents.readme(find(run)) in capsys.readouterr().out
    assert result()["command"] in details.read_text()
    assert "1 x cpu" in details.read_text()


def test_the_readme_and_the_details_show_the_committed_results():
    results, readme = ROOT / "experiments" / "results", ROOT / "README.md"
    found = find(results)
    written = documents.readme(found, "experiments/results/README.md"), times.tabulated(found.comparisons)
    assert replaced(readme, *written) == readme.read_text()
    assert documents.details(found) == (results / "README.md").read_text()


def broken(name, content):
    return lambda at: [str(write(write(at / "run", "result.json", result()), name, content))]


def raw(name, content):
    def make(at):
        (write(at / "run", "result.json", result()) / name).write_bytes(content)
        return [str(at / "run")]

    return make


def readme(content):
    def make(at):
        write(at / "run", "result.json", result())
        if content is not None:
            (at / "README.md").write_text(content)
        return [str(at / "run"), "--readme", str(at / "README.md")]

    return make


BAD = {
    "nothing": (lambda at: [], "There is nothing to report on: give run directories"),
    "no folder": (
        lambda at: [str(at / "runs")],
        "runs holds no result.json, comparison.json, continual.json or architectures.json, nor does",
    ),
    "empty folder": (lambda at: [str(at)], "holds no result.json, comparison.json, continual.json or"),
    "no JSON": (raw("result.json", b'{"config'), "result.json is damaged or not what this version writes ("),
    "bytes": (raw("result.json", b"\xff\xfe"), "result.json is damaged"),
    "list": (broken("result.json", []), "result.json is damaged"),
    "no accuracy": (broken("result.json", result() | {"accuracy": {}}), "result.json is damaged"),
    "no config": (broken("result.json", {"accuracy": {}}), "this version writes (there is no 'config')"),
    "text for a number": (broken("result.json", result(accuracy={"condensed": score("9")})), "mean is '9'"),
    "not a number": (broken("result.json", result(accuracy={"condensed": score(float("nan"))})), "mean is nan"),
    "evaluation": (broken("evaluation.json", {"rows": [{}]}), "evaluation.json is damaged"),
    "comparison": (broken("comparison.json", {"rows": [{"method": 3}]}), "comparison.json is damaged"),
    "course": (lambda at: [str(write(at / "c", "continual.json", {"rows": []}))], "continual.json is damaged"),
    "search": (lambda at: [str(write(at / "s", "architectures.json", {"rows": 3}))], "architectures.json is damaged"),
    "set": (raw("condensed.npz", b"PK"), "condensed.npz is damaged or no .npz file"),
    "picture": (raw("condensed.png", b"GIF89a"), "condensed.png is damaged or no PNG"),
    "metrics": (raw("metrics.jsonl", b"\xff"), "metrics.jsonl is damaged"),
    "no README": (readme(None), "README.md cannot be read"),
    "no markers": (readme("text"), f"README.md has no place for the tables: put a line {BEGIN}"),
    "one marker": (readme(f"{END}\n{BEGIN}"), "README.md has no place for the tables"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(name, tmp_path, capsys):
    make, sentence = BAD[name]
    arguments = make(tmp_path)
    assert main([*arguments, "--html", str(tmp_path / "report.html")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert sentence in err
    assert not (tmp_path / "report.html").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    run = write(tmp_path / "run", "result.json", result())
    assert main([str(run), "--html", str(tmp_path / "none" / "report.html")]) == 2
    assert "cannot be written (No such file or directory): give another path." in capsys.readouterr().err
