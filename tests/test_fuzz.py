"""Files changed at random: every reader gives what was written, or says in one sentence that it cannot."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
from dcjax import foreign
from dcjax.checkpoint import Checkpoints
from experiments.pipeline import rundir, scores
from experiments.pipeline.job import load_data, prepare
from experiments.report import records
from experiments.run import main
from experiments.settings.parse import parse
from experiments.settings.saved import check_resumable, restored

pytestmark = pytest.mark.slow
TIMES = 100
SMALL = ("--network", "mlp", "--num-students", "2", "--eval-epochs", "1", "--checkpoint-every", "2", "--no-baseline")
WORDS = (b"-1", b"1e999", b"NaN", b"null", b"[]", b'"', b"{", b"}", b"\\ud800", b"9" * 5000, b"[" * 5000, b"\x00")


def mutated(generator, content):
    """Changes bytes as damage, a careless edit or malice would."""
    content, at = bytearray(content), int(generator.integers(len(content)))
    length = int(generator.integers(1, 64))
    match generator.integers(7):
        case 0:
            content[at] ^= 1 << int(generator.integers(8))
        case 1:
            del content[at:]
        case 2:
            del content[at : at + length]
        case 3:
            content[at : at + length] = generator.bytes(length)
        case 4:
            content[at : at + length] = bytes(length)
        case 5:
            content[at:at] = content[at : at + length]
        case 6:
            content[at : at + 1] = WORDS[generator.integers(len(WORDS))]
    return bytes(content)


def outcomes(path, read, times=TIMES):
    """Changes a file so many times; gives what `read` gave each time, or its one sentence."""
    whole, generator, found = path.read_bytes(), np.random.default_rng(0), []
    try:
        for _ in range(times):
            path.write_bytes(mutated(generator, whole))
            found.append(outcome(read))
    finally:
        path.write_bytes(whole)
    sentences = [each for each in found if isinstance(each, str)]
    assert all(len(each.splitlines()) == 1 and len(each) < 2000 for each in sentences)
    return found


def outcome(read):
    try:
        return read()
    except dc.InputError as error:
        return str(error)


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    """The directory of a finished run, under a name that asks for no default."""
    run = tmp_path_factory.mktemp("fuzz") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*SMALL, "--iterations", "4", "--workdir", str(run)]) == 0
    return run


@pytest.fixture(name="job", scope="module")
def _job(run):
    settings = parse(["--resume", "--workdir", str(run)])
    return prepare(settings, load_data(settings))


def test_settings_are_read_or_refused(run):
    found = outcomes(run / "config.json", lambda: parse(["--resume", "--workdir", str(run)]))
    whole = parse(["--resume", "--workdir", str(run)])
    settings = [each for each in found if not isinstance(each, str)]
    assert 0 < len(settings) < TIMES
    for (
        each
    ) in settings:  # a number may have become another: that of a setting which the images depend on is refused by
        with contextlib.suppress(dc.InputError):  # the checkpoint, which holds the true ones
            check_resumable(each, whole)


def test_the_note_of_the_data_is_as_it_was_or_refused(run, job):
    directory = rundir.RunDirectory(str(run))
    before = json.loads((run / "data.json").read_text())

    def read():
        rundir.open_run(directory, job.settings, job.data)
        return json.loads((run / "data.json").read_text())

    found = outcomes(run / "data.json", read)
    assert all(isinstance(each, str) or each == before for each in found)


def test_a_log_keeps_rows_that_are_rows(run):
    directory = rundir.RunDirectory(str(run))

    def read():
        directory.rewind(4)
        rows = directory.history()
        assert all(type(row["iteration"]) is int for row in rows)
        return rows

    assert not any(isinstance(each, str) for each in outcomes(run / "metrics.jsonl", read))


def test_accuracies_are_as_they_were_or_measured_again(run):
    path = run / "scores.json"
    content = json.loads(path.read_text())
    found = outcomes(path, lambda: scores.resumed(path, content["settings"]).content["scores"])
    assert all(each in ({}, content["scores"]) for each in found)
    assert content["scores"] != {}


def test_a_checkpoint_is_as_it_was_or_gives_way(run, job, tmp_path):
    like = jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0))
    with Checkpoints(run / "checkpoints") as checkpoints:
        whole = checkpoints.restore(like)
    names = sorted(p.relative_to(run / "checkpoints") for p in (run / "checkpoints/4").rglob("*") if p.is_file())
    generator, fallen_back = np.random.default_rng(0), 0
    for number in range(TIMES):
        place = Path(shutil.copytree(run / "checkpoints", tmp_path / str(number)))
        file = place / names[number % len(names)]
        file.write_bytes(mutated(generator, file.read_bytes()) if file.stat().st_size else b"x")
        with Checkpoints(place) as checkpoints:
            found = checkpoints.restore(like)
        fallen_back += found.iteration == 2
        assert set(found.damaged) == ({4} if found.iteration == 2 else set())
        if found.iteration == 4:
            chex.assert_trees_all_equal(found.state, whole.state)
            assert found.config == whole.config
        check_resumable(job.settings, restored(found.config, place, ""))
        shutil.rmtree(place)
    assert 0 < fallen_back < TIMES


def test_a_set_is_as_it_was_or_refused(run, job):
    path = run / "condensed.npz"
    before = dc.load_condensed(path)
    for each in outcomes(path, lambda: foreign.read(run, job.data)[0]):
        if not isinstance(each, str):
            chex.assert_trees_all_equal(each.batch, before.batch)
            assert each.meta == before.meta


@pytest.mark.parametrize("name", ["result.json", "condensed.png"])
def test_a_report_shows_what_is_there_or_refuses(name, run):
    found = outcomes(run / name, lambda: len(records.find([str(run)])[0]))
    assert any(isinstance(each, str) for each in found)


@pytest.mark.parametrize("name", ["config.json", "data.json", "metrics.jsonl", "scores.json", "condensed.npz"])
def test_a_whole_run_goes_on_or_says_why(name, run, capsys, tmp_path):
    """The same as above through the command, fewer times."""
    place = Path(shutil.copytree(run, tmp_path / "run"))
    wanted = dc.load_condensed(place / "condensed.npz").compact["image"]

    def read():
        code = main(["--resume", "--workdir", str(place)])
        error = capsys.readouterr().err
        assert len(error.splitlines()) == (1 if code else 0), error
        assert code in (0, 2)
        if code == 0:
            np.testing.assert_array_equal(dc.load_condensed(place / "condensed.npz").compact["image"], wanted)

    outcomes(place / name, read, times=3)


DIGITS = {"small": small_data()}


def write_plain(place):
    data = DIGITS["small"]
    np.savez(place, images=np.asarray(data.train.image)[:: len(data.train.image) // 9], labels=np.arange(9) // 3)


def write_data(place):
    data = DIGITS["small"]
    np.savez(place, x_train=np.asarray(data.train.image), y_train=data.train.label, class_names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        ("plain.npz", write_plain, lambda path: foreign.read(path, DIGITS["small"])[0].batch.image.shape[0]),
        ("data.npz", write_data, lambda path: dc.data.load(f"npz:{path}").num_classes),
    ],
)
def test_arrays_of_anyone_are_read_or_refused(name, write, read, tmp_path):
    write(tmp_path / name)
    assert read(tmp_path / name) == 3
    found = outcomes(tmp_path / name, lambda: read(tmp_path / name))
    assert {3} <= set(found) or all(isinstance(each, str) for each in found)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_pictures_of_anyone_are_read_or_refused(suffix, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("DCJAX_CACHE", str(tmp_path / "cache"))
    for k, i in np.ndindex(2, 3):
        (tmp_path / "data" / "ab"[k]).mkdir(parents=True, exist_ok=True)
        grey = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(grey).save(tmp_path / "data" / "ab"[k] / f"{i}.{suffix}")
    file = tmp_path / "data" / "a" / f"0.{suffix}"
    found = outcomes(file, lambda: dc.data.load(f"folder:{tmp_path / 'data'}").image_shape[0])
    assert all(isinstance(each, str) or each == 8 for each in found)


def test_files_of_pytorch_are_read_or_refused(run, job, tmp_path):
    pytest.importorskip("torch")
    foreign.write_pt(tmp_path / "x.pt", dc.load_condensed(run / "condensed.npz"))
    for each in outcomes(tmp_path / "x.pt", lambda: foreign.read(tmp_path / "x.pt", job.data)[0]):
        if not isinstance(each, str):
            assert np.isfinite(each.batch.image).all()
