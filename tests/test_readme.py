"""What the pages tell a reader to type works, and so does every command that made a committed result."""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dcjax as dc
from experiments import methods
from experiments.architectures import Wanted
from experiments.compare import compare
from experiments.continual import Continual
from experiments.evaluate import Evaluation
from experiments.experts import Schooled
from experiments.export import Export
from experiments.pipeline import figures, grid, passes
from experiments.recall import Recalled
from experiments.report.__main__ import Report
from experiments.sets import Listing
from experiments.settings import passed_on
from experiments.settings.flags import check_known, read
from experiments.settings.ownership import all_flags
from experiments.settings.parse import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = "\n".join([README, *((ROOT / part / "README.md").read_text() for part in ("experiments", "benchmarks"))])
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGES, re.DOTALL)
KINDS = {
    "evaluate": Evaluation,
    "architectures": Wanted,
    "export": Export,
    "report": Report,
    "recall": Recalled,
    "experts": Schooled,
    "continual": Continual,
    "sets": Listing,
}
PROGRAM = r"(?:python -m experiments[ .]|dcjax )"


def commands_of_the_pages() -> list[str]:
    """Lists the lines of their blocks and the words between backquotes that call one of our programs."""
    lines = [line for kind, text in BLOCKS if kind == "" for line in text.splitlines()]
    prose = re.sub(r"```.*?```", "", PAGES, flags=re.DOTALL)
    calls = [*lines, *re.findall(r"`([^`\n]+)`", prose)]
    return [call for call in calls if re.match(PROGRAM + r"\w+", call) and "..." not in call]


def commands_of(content: Any) -> Iterator[str]:
    """Finds everything that is called a command, however deep."""
    if isinstance(content, dict):
        yield from [content["command"]] if "command" in content else []
        content = [*content.values()]
    if isinstance(content, list):
        for part in content:
            yield from commands_of(part)


RESULTS = [*(ROOT / "experiments" / "results").rglob("*.json")]
COMMANDS = commands_of_the_pages() + [
    command for path in RESULTS for command in commands_of(json.loads(path.read_text()))
]


def load_data(settings):
    """Gives images of the shape that those of a data set have, none of which is looked at."""
    if settings.dataset == "digits":
        return dc.data.load("digits")
    label = np.repeat(np.arange(10), 70)
    return dc.data.from_arrays((np.zeros((700, 28, 28, 1), np.uint8), label))


def test_there_are_commands():
    assert len(commands_of_the_pages()) > 15
    assert len(COMMANDS) - len(commands_of_the_pages()) >= len(RESULTS)


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_every_command_is_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(re.sub(f"^{PROGRAM}", "", command), comments=True)
    if name == "run":
        settings = parse(words)
        assert settings.workdir.startswith(f"runs/{settings.method}-")
    elif name == "compare":
        filled = []
        monkeypatch.setattr(
            grid,
            "fill",
            lambda run, place, cells, facts: filled.extend(cells) or [{"method": x.row, "ipc": x.ipc} for x in cells],
        )
        for drawing in ("varied", "heat"):
            monkeypatch.setattr(figures, drawing, lambda *args: None)
        monkeypatch.setattr(passes, "load_data", load_data)
        compare(words)
        assert len({cell.settings.workdir for cell in filled}) == len(filled) > 0
    else:
        own, passed = passed_on.split(words)
        assert isinstance(read(KINDS[name], own), KINDS[name])
        check_known(passed, all_flags())


def test_the_code_condenses():
    (code,) = [text for kind, text in BLOCKS if kind == "python" and "dc.condenser" in text]
    quick = {"epochs=50": "epochs=1", "range(20)": "range(1)", "ConvNet(num_classes=10)": "MLP(num_classes=10)"}
    quick |= {"num_students=20": "num_students=1, recipe=dc.dc_recipe(2)"}
    for full, short in quick.items():
        assert full in code
        code = code.replace(full, short)
    names = {}
    exec(code, names)
    assert names["condensed"].image.shape == (10, 10, 8, 8, 1)
    assert names["condensed"].label.shape == (10, 10, 10)
    assert 0 <= names["accuracy"][0] <= 1
    assert np.isfinite(names["metrics"]["loss"])


def test_a_set_is_used_without_dcjax(monkeypatch):
    (code,) = [text for kind, text in BLOCKS if kind == "python" and "np.load" in text]
    plain, with_torch = code.split("import torch\n")
    monkeypatch.chdir(ROOT)
    names = {}
    exec(plain, names)
    assert names["nearest"].predict(names["images"].reshape(10, -1)).tolist() == [*range(10)]
    if importlib.util.find_spec("torch"):
        exec("import torch\n" + with_torch, names)
        assert next(iter(names["loader"]))[0].shape == (10, 1, 28, 28)


def test_the_table_of_methods_is_that_of_the_methods():
    assert methods.table() in README


@pytest.mark.parametrize(
    "page", ["README.md", "experiments/README.md", "experiments/results/README.md", "benchmarks/README.md"]
)
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text) + [
        (path, "") for path in re.findall(r'src="([^"]+)"', text)
    ]
    for path, heading in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]


def test_the_first_page_is_short():
    assert len(README.splitlines()) < 200
