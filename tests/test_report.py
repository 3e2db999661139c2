"""A report says what was measured, misses included, and the page it makes needs nothing outside itself."""

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest
from helpers import small_data

import dcjax as dc
from experiments.report import charts, heat, markdown, page, records, tables
from experiments.report.__main__ import BEGIN, END, main, replaced

ROOT = Path(__file__).parents[1]
OPTIONAL = ("condensed.npz", "condensed.png", "metrics.jsonl", "evaluation.json")
NAMES = ("<script>alert(1)</script>", "a|b", '"quoted" & more')


def score(mean, std=0.5, students=20):
    return {"mean": mean, "std": std, "students": students, "values": []}


def result(method="dc", dataset="mnist", ipc=1, accuracy=None, paper=None, **others):
    config = {"method": method, "dataset": dataset, "ipc": ipc, "network": "convnet", "width": 128, "iterations": 4}
    return {
        "command": f"python -m experiments.run --method {method} --ipc {ipc}",
        "accuracy": accuracy or {"condensed": score(91.89), "random": score(67.0)},
        "paper": {"condensed": {"mean": 91.7, "std": 0.5}} if paper is None else paper,
        "hardware": "1 x cpu",
        "config": config,
        **others,
    }


COMMAND = {"command": "python -m experiments.evaluate runs/dc"}


def case(network, augmented, mean, **others):
    accuracy = {"condensed": score(mean), "random": score(mean - 10), "whole": score(90.0)}
    return {"network": network, "recipe": "own", "augmented": augmented, "accuracy": accuracy, **COMMAND, **others}


EVALUATION = {
    "settings": {"width": 16},
    "rows": [
        case("convnet", True, 80.0, relative=0.889, hlr=0.1, ior=-0.1, lrs=0.4, ars=None),
        case("mlp", False, 50.0, relative=0.556, hlr=0.4, ior=0.1, lrs=0.3, ars=None),
    ],
    "scores": {},
}


def write(path, name, content):
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(json.dumps(content))
    return path


def find(*paths):
    return records.find([str(path) for path in paths])


def measured(tmp_path, **fields):
    """A run of which only result.json is there."""
    ((run,), _) = find(write(tmp_path / "run", "result.json", result(**fields)))
    return run


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
    assert ("1 missed" in page.html([run], [])) == is_miss


def test_below_random_is_said_of_condensed_sets(tmp_path):
    low = {"condensed": score(60.0), "random": score(67.0)}
    for method, said in (("dc", True), ("herding", False)):
        run = measured(tmp_path, method=method, accuracy=low)
        assert ("**60.0 ± 0.5 (below random)**" in markdown.results([run])) == said


def test_columns_hold_what_is_known_and_empty_ones_are_left_out(tmp_path):
    paper = {"whole": {"mean": 99.6, "std": 0.1}, "random": {"mean": 64.9, "std": 3.5}}
    whole = measured(tmp_path, method="whole", accuracy={"whole": score(99.4, students=3)}, paper=paper)
    heading, _, line = markdown.results([whole]).splitlines()
    cells = dict(zip(heading.strip("| ").split(" | "), line.strip("| ").split(" | ")))
    assert cells == {
        "data": "MNIST",
        "method": "whole",
        "images per class": "all",
        "paper": "99.6 ± 0.1",
        "difference": "**−0.2 (a miss)**",  # noqa: RUF001
        "whole": "99.4 ± 0.5",
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
    runs, comparisons = find(tmp_path, tmp_path / "dm-zoo-1")
    assert [(run.config["method"], run.config["dataset"], run.config["ipc"]) for run in runs] == [
        ("dc", "mnist", 2),
        ("dc", "mnist", 10),
        ("herding", "mnist", 1),
        ("dc", "cifar10", 1),
        ("dm", "zoo", 1),
    ]
    assert comparisons == []


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
    found = Page(page.html([run], []))
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
        text = page.html(*find(path))
        found = Page(text)
        images = {"condensed.npz": 1, None: 0}.get(left_out, 3)  # the run's own picture stands in
        assert len(found.every("img")) == images
        assert len(found.every("svg")) == (0 if left_out in ("metrics.jsonl", None) else 2)
        assert ("Across networks" in text) == (left_out not in ("evaluation.json", None))


def test_curves_are_where_the_numbers_are(complete):
    ((run,), _) = find(complete)
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
    assert found.columns == ["condensed", "random", "whole", "relative to whole", *scores]
    (network, recipe, cells), (_, plain, _) = found.rows
    assert (network, recipe, plain) == ("ConvNet-16", "own", "own, no augmentation")
    assert [cell.text for cell in cells] == [
        *("80.0 ± 0.5", "70.0 ± 0.5", "90.0 ± 0.5"),
        *("0.889", "0.100", "−0.100", "0.400"),  # noqa: RUF001
    ]
    assert [cell.heat for cell in cells] == [0.8, 0.6, 1.0, 1.0, None, None, None]  # from 40 to 90; from 0.556 to 0.889


def test_sets_of_one_dataset_stand_beside_each_other(complete):
    ((run,), _) = find(complete)
    other = {"settings": {"width": 16}, "rows": [case("mlp", False, 60.0)]}
    dm = run._replace(path=Path("dm"), result=result("dm"), evaluation=other)
    ((data, found),) = heat.across([run, dm])
    assert (data, found.columns) == ("MNIST", ["DC, 1 per class", "DM, 1 per class"])
    assert [[cell.text for cell in cells] for _, _, cells in found.rows] == [
        ["80.0 ± 0.5", ""],
        ["50.0 ± 0.5", "60.0 ± 0.5"],
    ]
    assert heat.across([run]) == []


def cell(method, ipc, mean):
    return {"method": method, "ipc": ipc, "mean": mean, "std": 1.0, "set_means": [mean, mean], "students": 4}


COMPARISON = {
    "command": "python -m experiments.compare --dataset=cifar10 --ipc 1,10",
    "dataset": "cifar10",
    "evaluation": {"eval_epochs": 300, "eval_augment": "none"},
    "rows": [
        *(cell("herding", 1, 70.0), cell("herding", 10, 80.0), cell("random", 1, 68.5)),
        *(cell("dc", 1, 68.0), cell("dc", 10, 90.0), cell("whole", None, 99.0)),
    ],
    "hardware": "1 x cpu",
}
VERDICT = "At 1 image per class, real images are above DC: herding by 2.0, random by 0.5 points."


def test_a_comparison_is_methods_by_sizes_and_says_where_real_images_win(tmp_path):
    runs, comparisons = find(write(tmp_path / "compare", "comparison.json", COMPARISON))
    text = markdown.document(runs, comparisons)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table == [
        "| method | 1 per class | 10 per class |",
        "| --- | --- | --- |",
        "| herding | 70.0 ± 1.0 | 80.0 ± 1.0 |",
        "| random | 68.5 ± 1.0 |  |",
        "| DC | 68.0 ± 1.0 | 90.0 ± 1.0 |",
        "| whole | 99.0 ± 1.0 | 99.0 ± 1.0 |",
    ]
    assert [line for line in text.splitlines() if "above" in line] == [VERDICT]
    found = page.html(runs, comparisons)
    assert "Methods compared on CIFAR-10" in found
    assert VERDICT in Page(found).texts
    best = ["70.0", "90.0"]  # of each size, the whole left aside
    assert re.findall(r'class="number own">([\d.]+)', found) == best


def test_the_table_in_a_readme_is_replaced_and_nothing_else(tmp_path, capsys):
    run = write(tmp_path / "run", "result.json", result())
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter {BEGIN}\n")
    for _ in range(2):
        assert main([str(run), "--readme", str(readme)]) == 0
        table = markdown.document(*find(run))
        assert readme.read_text() == f"before\n{BEGIN}\n\n{table}\n{END}\nafter {BEGIN}\n"
    assert table in capsys.readouterr().out


def test_the_readme_shows_the_committed_results():
    readme = ROOT / "README.md"
    assert replaced(readme, markdown.document(*find(ROOT / "experiments" / "results"))) == readme.read_text()


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
    "no folder": (lambda at: [str(at / "runs")], "runs holds no result.json and no comparison.json, nor does a folder"),
    "empty folder": (lambda at: [str(at)], "holds no result.json and no comparison.json"),
    "no JSON": (raw("result.json", b'{"config'), "result.json is damaged or not what this version writes ("),
    "bytes": (raw("result.json", b"\xff\xfe"), "result.json is damaged"),
    "list": (broken("result.json", []), "result.json is damaged"),
    "no accuracy": (broken("result.json", result() | {"accuracy": {}}), "result.json is damaged"),
    "no config": (broken("result.json", {"accuracy": {}}), "this version writes (there is no 'config')"),
    "text for a number": (broken("result.json", result(accuracy={"condensed": score("9")})), "mean is '9'"),
    "not a number": (broken("result.json", result(accuracy={"condensed": score(float("nan"))})), "mean is nan"),
    "evaluation": (broken("evaluation.json", {"rows": [{}]}), "evaluation.json is damaged"),
    "comparison": (broken("comparison.json", {"rows": [{"method": 3}]}), "comparison.json is damaged"),
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
