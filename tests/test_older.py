"""Runs that an older version began go on as they would have gone on with it; `older/README.md` says what they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import dcjax as dc
from experiments.run import main

OLDER = Path(__file__).parent / "older"
RUN = Path("run")
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}  # of other machines and XLA flags: all bits are the same without these


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch, no_pictures):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="expected", scope="module")
def _expected():
    """What the older version made of the same runs when they were not stopped."""
    with np.load(OLDER / "expected.npz") as file:
        return dict(file)


def begin(name, **settings):
    """Copies a stopped run to `RUN`; a setting that is None is left out of its config, any other replaced or added."""
    shutil.copytree(OLDER / name, RUN)
    config = json.loads((RUN / "config.json").read_text()) | settings
    known = {setting: value for setting, value in config.items() if settings.get(setting, ...) is not None}
    (RUN / "config.json").write_text(json.dumps(known))


def resume():
    """Goes on with the run; its students, which are not compared, are trained as is quick to compile."""
    students = ["--eval-recipe", "dc", "--eval-epochs", "0", "--eval-augment", "none", "--eval-mix", "none"]
    return main(["--resume", "--workdir", str(RUN), "--devices", "1", *students])


def images():
    return dc.load_condensed(RUN / "condensed.npz").compact["image"]


def losses():
    rows = [json.loads(line) for line in (RUN / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def assert_as_expected(expected, name):
    """All losses and the final images are those of the run that was not stopped."""
    np.testing.assert_allclose(losses(), expected[f"{name}/loss"], **ROUNDING)
    np.testing.assert_allclose(images(), expected[f"{name}/image"], **ROUNDING)
    assert json.loads((RUN / "result.json").read_text())["complete"]


@pytest.mark.parametrize("name", ["dc", "dm", "idc", pytest.param("idc_warm", marks=pytest.mark.slow)])
def test_an_older_run_goes_on_as_it_would_have(name, expected, capsys):
    begin(name)
    done = losses()
    assert resume() == 0, capsys.readouterr().err
    assert losses()[: len(done)] == done  # what it had done is not done again
    assert_as_expected(expected, name)


def test_a_setting_that_an_older_run_lacks_is_the_methods_own(expected, capsys):
    """IDC keeps images as pixels, unlike every other method."""
    begin("idc", image_space=None)
    assert resume() == 0, capsys.readouterr().err
    assert_as_expected(expected, "idc")
    assert json.loads((RUN / "config.json").read_text())["image_space"] == "pixel"


def test_what_an_older_run_chose_is_not_chosen_again(expected, capsys):
    begin("herding")
    np.testing.assert_array_equal(images(), expected["herding/image"])
    with np.load(RUN / "condensed.npz") as file:
        arrays = dict(file)
    arrays["compact/image"] = -arrays["compact/image"]  # no choice would give these
    np.savez(RUN / "condensed.npz", **arrays)
    assert resume() == 0, capsys.readouterr().err
    np.testing.assert_array_equal(images(), -expected["herding/image"])
    assert json.loads((RUN / "result.json").read_text())["complete"]


def test_a_setting_that_no_version_knows_is_refused(capsys):
    begin("dm", shutter=3)
    assert resume() == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1, err
    assert "shutter" in err
    assert not (RUN / "result.json").exists()
