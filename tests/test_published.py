"""What a run does because a published program does it: how images are normalised, where they start, what students see, which numbers go with it."""

import json
import re

import chex
import jax
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
from dcjax.data import PAPER_STATISTICS, sources
from experiments.experts import _of_run
from experiments.methods import METHODS, preset
from experiments.pipeline import sets
from experiments.pipeline.build import made_on, unusual
from experiments.pipeline.job import load_data, prepare
from experiments.pipeline.passes import equal_passes
from experiments.pipeline.rundir import RunDirectory
from experiments.pipeline.save import save_condensed
from experiments.settings import saved
from experiments.settings.parse import command, parse
from experiments.settings.settings import published

QUICK = ("--iterations", "1", "--num-students", "1", "--eval-epochs", "1", "--distance", "squared_error")
SMALL = ("--network", "mlp", "--real-batch", "4", "--network-steps", "1")
DATA = small_data(size=12)


@pytest.fixture(name="coloured")
def _coloured(monkeypatch):
    """Stands for every TFDS data set: ten classes of small random images in colour."""
    image = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    monkeypatch.setattr(sources, "tfds", lambda *_: sources.from_arrays((image, np.arange(40) % 10)))


@pytest.mark.parametrize(("method", "name"), [("idc", "cifar10"), ("idc_i", "cifar10"), ("dc", "own"), ("dm", "own")])
def test_idc_takes_cifar_10_s_statistics_for_cifar_100(method, name):
    found = {d: preset(method, d, 1, "convnet").get("statistics", "own") for d in ("digits", *PAPER_STATISTICS)}
    assert found == dict.fromkeys(found, "own") | {"cifar100": name}


@pytest.mark.parametrize(("words", "name"), [((), "cifar10"), (("--statistics", "own"), "cifar100")])
def test_a_run_its_file_and_its_test_are_normalised_by_the_statistics_that_it_names(words, name, coloured, tmp_path):
    settings = parse(["--method", "idc_i", "--dataset", "cifar100", *SMALL, *QUICK, *words, "--workdir", str(tmp_path)])
    assert f"--statistics {settings.statistics}" in command(settings) or not words
    data, run = load_data(settings), RunDirectory(str(tmp_path))
    assert (data.mean, data.std) == PAPER_STATISTICS[name]
    job = prepare(settings, data)
    learned = jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0)).learned
    save_condensed(job, run, learned)
    run.write_json("config.json", saved.dump(settings))
    assert json.loads((tmp_path / "config.json").read_text())["statistics"] == settings.statistics
    kept = dc.load_condensed(tmp_path / "condensed.npz")
    assert (kept.mean, kept.std) == pytest.approx(np.float32(PAPER_STATISTICS[name]))
    (tmp_path / "alone.npz").write_bytes((tmp_path / "condensed.npz").read_bytes())  # no config.json goes with it
    for path in (tmp_path, tmp_path / "alone.npz"):
        assert sets.source(path, None, None, None).load().mean == PAPER_STATISTICS[name][0]


def test_a_run_begun_before_there_were_other_statistics_goes_on_with_its_own(tmp_path):
    config = saved.dump(parse(["--method", "idc", "--dataset", "cifar100"]))
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "statistics"}))
    assert saved.load(tmp_path / "config.json").statistics == "own"


def test_experts_are_of_data_that_are_normalised_alike(coloured):
    words = ["--method", "mtt", "--dataset", "cifar100", "--ipc", "10", "--network", "mlp"]
    taken, plain = parse([*words, "--statistics", "cifar10"]), parse(words)
    assert unusual(taken)["statistics"] == "cifar10"
    assert _of_run("cifar100", ["--no-zca", "--statistics", "cifar10"]).statistics == "cifar10"
    assert made_on(taken, load_data(taken))["statistics"] == "cifar10"
    assert "statistics" not in made_on(plain, load_data(plain))  # as experts noted it before there was the flag


def begun(*words):
    """The first images of a run, as they are stored."""
    job = prepare(parse([*words, *SMALL]), DATA)
    return np.asarray(jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0)).syn["image"])


@pytest.mark.parametrize("method", ["idc", "idc_i"])
def test_noise_of_idc_is_normal_about_grey_and_clamped(method):
    noise = begun("--method", method, "--start", "noise", "--ipc", "10", "--distance", "squared_error")
    assert (noise.min(), noise.max()) == (0, 1)
    assert (noise.mean(), noise.std()) == pytest.approx((0.5, 0.245), abs=0.01)


def test_uniform_noise_has_a_name_of_its_own():
    noise = begun("--method", "idc", "--start", "uniform", "--ipc", "10", "--distance", "squared_error")
    assert 0 <= noise.min() < noise.max() < 1
    assert (noise.mean(), noise.std()) == pytest.approx((0.5, 12**-0.5), abs=0.01)


BOUNDED = ("--parameterization", "bounded_formation", "--ipc", "4", "--bound", "8", "--start", "noise")


def seen_while_condensing(job, syn):
    """Counts the images of a class that networks see during condensation."""
    return job.method.parameterization.decode(syn).image.shape[1]


def test_a_bounded_formation_bounds_what_is_compared_and_students_see_every_cell(tmp_path):
    job = prepare(parse(["--method", "idc", *BOUNDED, *SMALL, *QUICK, "--workdir", str(tmp_path)]), DATA)
    learned = jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0)).learned
    whole = dc.in_pixel_space(dc.multi_formation(4, 2), DATA.train.normalisation).decode(learned.syn)
    assert whole.image.shape[1] == 16
    assert seen_while_condensing(job, learned.syn) == 7  # one image is cut into four, three are left as they are
    chex.assert_trees_all_equal(job.decoded(learned.syn), whole)
    save_condensed(job, RunDirectory(str(tmp_path)), learned)
    kept = dc.load_condensed(tmp_path / "condensed.npz")
    assert kept.meta["decoder"]["name"] == "multi_formation"
    assert kept.meta["decoder"]["arguments"] == {"ipc": 4, "factor": 2}
    assert kept.meta["bytes"]["compact"] == 4 * 4 * DATA.num_classes * np.prod(DATA.image_shape)
    chex.assert_trees_all_close((kept.decode(), kept.batch), (whole, whole), atol=1e-5)


def test_learned_labels_are_of_the_images_that_were_compared():
    job = prepare(parse(["--method", "idc", *BOUNDED, *SMALL, *QUICK, "--labels", "soft"]), DATA)
    syn = jax.eval_shape(job.initial_state, job.sources(None)(job.first_draw, 0)).syn
    decoded = jax.eval_shape(job.decoded, syn)
    assert decoded.image.shape[1] == decoded.label.shape[1] == 7
    assert job.method.decoder["name"] == "bounded_formation"


def test_passes_over_condensed_images_are_over_those_that_are_compared(monkeypatch):
    monkeypatch.setattr("experiments.pipeline.passes.load_data", lambda settings: DATA)
    own = ["--method", "idc", "--network", "mlp", "--distance", "squared_error", "--network-steps", "6"]
    words = [*own[:-2], *BOUNDED, "--trajectory", "on_synthetic", "--network-batch", "21"]
    assert equal_passes(words, own) == [
        "--inner-epochs",
        "6",
    ]  # seven images of each of three classes fill a mini-batch


@pytest.mark.parametrize(
    ("method", "dataset", "ipc", "cell"),
    [
        *(
            ("dm", "cifar10", ipc, cell)
            for ipc, cell in zip(
                (100, 200, 500, 1000, 1250), ((67.0, 0.3), (71.2, 0.4), (76.1, 0.3), (79.8, 0.3), (80.8, 0.3))
            )
        ),
        ("dm", "cifar10", 50, (63.0, 0.4)),
        ("idc_i", "cifar100", 20, (41.5, None)),
        ("idc", "cifar100", 20, (49.0, None)),
        ("idc", "cifar100", 10, (45.1, None)),
    ],
)
def test_papers_numbers_of_other_budgets_go_with_the_presets(method, dataset, ipc, cell):
    settings = parse(["--method", method, "--dataset", dataset, "--ipc", str(ipc)])
    assert published(settings) == {"condensed": cell}


def test_it_is_said_where_numbers_are_from():
    for method in METHODS.values():
        assert bool(method.numbers) == bool(method.numbers_source), method.name
    for name in ("dc", "dsa"):  # the authors' table has means alone for CIFAR-100
        assert re.search("CIFAR-100.*deviations|deviations.*CIFAR-100", METHODS[name].numbers_source)
    assert "README" in METHODS["dm"].numbers_source
