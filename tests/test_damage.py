"""Damage to what a run leaves behind: it is named, the run goes on from what is whole, and nothing false is taken for true."""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import filelock
import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline import figures, lock, pictures
from experiments.run import main

ITERATIONS = 6
SMALL = ("--network", "mlp", "--num-students", "2", "--eval-epochs", "1", "--checkpoint-every", "2", "--no-baseline")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="whole_run", scope="module")
def _whole_run(tmp_path_factory):
    """The directory of an uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*SMALL, "--iterations", str(ITERATIONS), "--workdir", str(run)]) == 0
    return run


@pytest.fixture(name="run")
def _run(whole_run, tmp_path):
    """The same run in a directory that a test may change."""
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


def resumed(capsys, run, *arguments):
    """Resumes a run in this process; gives the exit code, what it told and its one sentence of an error."""
    code = main(["--resume", "--workdir", str(run), *arguments])
    told, error = capsys.readouterr()
    assert code in (0, 2), error
    assert len(error.splitlines()) == (1 if code else 0), error
    return code, told, error


def images(run):
    return dc.load_condensed(run / "condensed.npz").compact["image"]


def accuracy(run):
    return json.loads((run / "result.json").read_text())["accuracy"]


def replace(content):
    """Damage: other bytes in a file."""

    def damage(path):
        path.write_bytes(content)

    return damage


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def become_folder(path):
    remove(path)
    path.mkdir()


def become_file(path):
    remove(path)
    path.write_bytes(b"")


def edit(**changes):
    """Damage: other values in a JSON file."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def garble_a_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\xff\x00{garbage\n", *lines[3:]]))


def flip_a_bit(path):
    """Damage: one bit in the middle of the largest file below a folder."""
    file = max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty_all(path):
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


NEWEST = f"checkpoints/{ITERATIONS}"
SURVIVED = [  # (file, damage, what is told); the run goes on to the same images
    (NEWEST, empty_all, "The checkpoint of iteration 6 is damaged"),
    (NEWEST, flip_a_bit, "The checkpoint of iteration 6 is damaged"),
    (f"{NEWEST}/digest", become_folder, "The checkpoint of iteration 6 is damaged"),
    (f"{NEWEST}/digest/metadata", edit(sha256="0"), "its contents do not go with its digest"),
    (f"{NEWEST}/config/metadata", edit(image_rate=0.5), "its contents do not go with its digest"),
    ("metrics.jsonl", garble_a_line, "metrics.jsonl is damaged: 1 of 6 iterations are not in it"),
    ("metrics.jsonl", replace(b"[]\nnull\n3\n\xff\xfe"), "metrics.jsonl is damaged: 6 of 6 iterations are not in it"),
    ("metrics.jsonl", remove, "metrics.jsonl is damaged: 6 of 6 iterations are not in it"),
    ("metrics.jsonl", replace(b""), "metrics.jsonl is damaged: 6 of 6 iterations are not in it"),
    ("scores.json", replace(b"[]"), "scores.json is damaged: its accuracies are measured again"),
    ("scores.json", replace(b"\xff\x00"), "scores.json is damaged: its accuracies are measured again"),
    (
        "scores.json",
        edit(scores={"condensed": [0.9] * 10}),
        "scores.json is damaged: its accuracies are measured again",
    ),
    ("condensed.npz", replace(b"text"), "All that the run leaves is in"),
    ("result.json", replace(b"text"), "All that the run leaves is in"),
]
REFUSED = [  # (file, damage, what is said); nothing is computed
    ("config.json", replace(b"[]"), "config.json is damaged (it holds a list instead of an object): copy"),
    ("config.json", replace(b"null"), "config.json is damaged (it holds null instead of an object): copy"),
    ("config.json", replace(b"3"), "config.json is damaged (it holds a number instead of an object): copy"),
    ("config.json", replace(b"{"), "config.json is damaged"),
    ("config.json", replace(b"\xff\x00"), "config.json is damaged"),
    ("config.json", replace(b"[" * 100_000), "config.json is damaged"),
    ("config.json", become_folder, "config.json"),
    ("config.json", remove, "There is no run to resume in"),
    ("config.json", edit(unheard_of=1), "config.json has settings that this version does not know (unheard_of)"),
    ("config.json", edit(method="magic"), "config.json cannot be used"),
    ("config.json", edit(image_rate="fast"), "config.json cannot be used (--image-rate must be of type float"),
    ("config.json", edit(image_rate=0.5), "does not go with the checkpoint of iteration 6"),
    ("config.json", edit(seed=1), "does not go with the checkpoint of iteration 6"),
    ("data.json", replace(b"[]"), "data.json is damaged (it holds a list instead of an object): remove it"),
    ("data.json", replace(b"\xff\x00"), "data.json is damaged"),
    ("data.json", edit(sha256=3), "was started on other training data"),
    ("data.json", replace(b"{}"), "was started on other training data"),
    ("data.json", become_folder, "data.json is no regular file: move it away"),
    ("metrics.jsonl", become_folder, "metrics.jsonl is no regular file: move it away"),
    ("scores.json", become_folder, "scores.json is no regular file: move it away"),
    ("condensed.npz", become_folder, "condensed.npz is no regular file: move it away"),
    ("checkpoints", become_file, "checkpoints is no directory of checkpoints: move it away"),
    ("checkpoints", remove, "The run had reached iteration 6, but there is no checkpoint in"),
    ("checkpoints", empty_all, "No checkpoint in"),
]


def named(cases):
    return [pytest.param(*case, id=f"{case[0]}-{case[2][:40]}") for case in cases]


@pytest.mark.parametrize(("file", "damage", "told"), named(SURVIVED))
def test_a_run_goes_on_from_what_is_whole(file, damage, told, run, whole_run, monkeypatch, capsys):
    monkeypatch.setattr(figures, "curves", lambda *args: None)  # pictures take half of the time
    monkeypatch.setattr(pictures, "image_grid", lambda *args: None)
    damage(run / file)
    code, out, error = resumed(capsys, run)
    assert code == 0, error
    assert told in out
    is_aside = "checkpoint of iteration 6 is damaged" in out
    assert ((run / "checkpoints" / "damaged-6").exists(), "kept as damaged-6" in out) == (is_aside, is_aside)
    np.testing.assert_array_equal(images(run), images(whole_run))
    assert accuracy(run) == accuracy(whole_run)
    assert "NaN" not in (run / "result.json").read_text()


@pytest.mark.parametrize(("file", "damage", "said"), named(REFUSED))
def test_a_run_that_cannot_go_on_says_why_before_anything_is_computed(file, damage, said, run, monkeypatch, capsys):
    damage(run / file)
    monkeypatch.setattr(dc, "iteration", None)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name[0] != "."}
    code, _, error = resumed(capsys, run)
    assert code == 2
    assert said in error
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name[0] != "."}
    assert after == before


def test_times_that_are_not_known_are_left_out(run, capsys):
    garble_a_line(run / "metrics.jsonl")
    resumed(capsys, run)
    result = json.loads((run / "result.json").read_text())
    assert "condense_seconds" not in result
    assert result["seconds_per_iteration"] > 0


def test_a_run_that_goes_on_says_so_if_nothing_was_saved(run, whole_run, capsys):
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").write_text("".join(f"{line}\n" for line in (run / "metrics.jsonl").read_text().split()[:1]))
    _, out, _ = resumed(capsys, run)
    assert "Nothing was saved before the run was stopped: it begins again" in out
    np.testing.assert_array_equal(images(run), images(whole_run))


def test_what_a_kill_left_half_written_is_no_run(capsys):
    Path("run").mkdir()
    Path("run/config.json.7.tmp").write_text("{")
    arguments = [*SMALL, "--iterations", "1", "--workdir", "run"]
    assert main([*arguments, "--resume"]) == 2
    assert "There is no run to resume in run: leave --resume out" in capsys.readouterr().err
    assert main(arguments) == 0, capsys.readouterr().err
    assert not [*Path("run").glob("*.tmp")]


@pytest.mark.parametrize("name", ["a[1]b", "run [v2]*?"])
def test_a_path_may_have_any_characters(name, whole_run, capsys):
    arguments = [*SMALL, "--iterations", "2", "--workdir", f"{name}/run"]
    assert main(arguments) == 0, capsys.readouterr().err
    code, _, error = resumed(capsys, Path(name, "run"), "--iterations", str(ITERATIONS))
    assert code == 0, error
    np.testing.assert_array_equal(images(Path(name, "run")), images(whole_run))


def test_a_run_directory_is_held_by_one_command(run, capsys):
    with lock.held(run):
        code, _, error = resumed(capsys, run)
        assert code == 2
        assert f"{run} is in use by process {os.getpid()} on " in error
        with pytest.raises(dc.InputError, match="is in use by process"), lock.held(run):
            pass
    assert resumed(capsys, run)[0] == 0  # also where a kill left the files of a lock


def test_a_lock_that_a_kill_left_is_taken_over(tmp_path):
    (tmp_path / lock.LOCK).write_text("")
    (tmp_path / lock.OWNER).write_text("process 1 on nowhere")
    with lock.held(tmp_path), pytest.raises(filelock.Timeout):
        filelock.FileLock(tmp_path / lock.LOCK).acquire(timeout=0)
