"""DD, learned labels, BPTT and Remember the Past run from the command line, are resumed bit for bit, and refuse what cannot be."""

import json
import shutil
import signal
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

import dcjax as dc
from experiments import recall
from experiments.methods import METHODS
from experiments.pipeline import memories
from experiments.pipeline.endings import Diverged, Stopped
from experiments.pipeline.job import load_data, prepare
from experiments.run import main
from experiments.settings.parse import parse
from experiments.settings.settings import paper_settings

QUICK = ("--network", "mlp", "--iterations", "4", "--num-students", "1", "--no-baseline", "--checkpoint-every", "1")
SHORT = ("--unroll-steps", "3", "--eval-epochs", "2")
ALWAYS = ("dd_known", "rtp")  # between them, what the other kinds are made of
KINDS = {
    "dd": ("--method", "dd", "--ipc", "1"),
    "dd_known": ("--method", "dd_known", "--ipc", "2"),
    "ld": ("--method", "ld", *SHORT),
    "bptt": ("--method", "bptt", *SHORT, "--learned-rate", "one", "--eval-rate", "None", "--tasks", "2"),
    "rtp": ("--method", "rtp", *SHORT, "--labels", "soft", "--unroll-window", "2", "--unroll-window-place", "anywhere"),
    "memories in DC": ("--method", "dc", "--parameterization", "addressable_memory", *SHORT[2:]),
    "memories in DM": ("--method", "dm", "--parameterization", "addressable_memory", "--classes", "3", *SHORT[2:]),
}


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)


def read(path):
    return json.loads(Path(path).read_text())


def learned(run):
    found = dc.load_condensed(f"{run}/condensed.npz")
    return {**found.compact, **{f"hyper/{name}": x for name, x in found.hyper.items()}}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in ALWAYS else pytest.mark.slow) for kind in KINDS]
)
def test_a_run_that_was_stopped_goes_on_with_the_same_bits_and_its_set_decodes(kind):
    assert main([*KINDS[kind], *QUICK, "--workdir", "whole"]) == 0
    shutil.copytree("whole", "part")
    shutil.rmtree("part/checkpoints/4")  # as a kill after the third iteration leaves it
    for name in ("condensed.npz", "result.json"):
        Path("part", name).unlink()
    assert main(["--resume", "--workdir", "part"]) == 0
    whole, part = learned("whole"), learned("part")
    chex.assert_trees_all_equal(whole, part)
    found = dc.load_condensed("part/condensed.npz")
    chex.assert_trees_all_close(found.decode(), found.batch, atol=1e-5)
    accuracy = [read(f"{run}/result.json")["accuracy"] for run in ("whole", "part")]
    assert accuracy[0] == accuracy[1]


@pytest.mark.slow
def test_what_is_learned_beside_images_is_stored_and_moves():
    assert main([*KINDS["bptt"], *QUICK, "--workdir", "rate"]) == 0
    found = dc.load_condensed("rate/condensed.npz")
    start = float(dc.rates.raw(0.05))
    assert found.hyper["raw_rate"] != pytest.approx(start, abs=1e-6)
    rows = [json.loads(line) for line in Path("rate/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["rate"] == pytest.approx(0.05, rel=1e-4)
    assert main([*KINDS["ld"], *QUICK, "--workdir", "labels"]) == 0
    labels = dc.load_condensed("labels/condensed.npz")
    data = load_data(parse([*KINDS["ld"]]))
    assert set(labels.compact) == {"image", "label_logits"}
    assert np.ptp(labels.batch.label, axis=-1).max() > 0.8
    real = np.asarray(data.train.normalise(data.train.image)).reshape(len(data.train.image), -1)
    ours = labels.compact["image"].reshape(10, -1)
    assert (np.abs(ours[:, None] - real[None]).max(-1).min(-1) < 1e-5).all(), "the images stay real ones"


def test_the_bytes_of_a_memory_are_within_those_of_its_images():
    for ipc in (1, 5):
        settings = parse([*KINDS["memories in DC"], "--ipc", str(ipc)])
        syn = prepare(settings, load_data(settings)).described_start().syn
        assert sum(leaf.size for leaf in jax.tree.leaves(syn)) <= 64 * 10 * ipc


WRONG = {
    "more bases than bytes": ("--method rtp --bases 99", "99 bases of side 1/2 take 1584 of the 640 values"),
    "more recalls than bytes": ("--method rtp --recalls 9", "--recalls 9 takes more bytes than --ipc 1"),
    "no steps": ("--method rtp --unroll-steps 0", "--unroll-steps must be at least 1, not 0"),
    "a long window": ("--method rtp --unroll-window 99", "--unroll-window 99 is more than the --unroll-steps 20"),
    "memories between bounds": ("--method rtp --image-space pixel", "give --image-space normalised"),
    "a side that is not divided": ("--method rtp --downsample 3", "8 x 8 cannot be learned at 1/3 of their side"),
    "a rate that none learns": (
        "--method rtp --eval-rate None",
        "none is learned: give --eval-rate, or a --learned-rate",
    ),
    "too few rates": (
        "--method dd --unroll-steps 4",
        "--unroll-steps 4 learns as many rates, but students make 3 steps",
    ),
    "rates of other steps": (
        "--method dd --ipc 4 --unroll-batch 2",
        "The learned rates are of steps on 2 image(s) of each class, in_order, but students take 1, in_order",
    ),
    "rates of another order": (
        "--method dd --unroll-order random",
        "of each class, random, but students take 1, in_order",
    ),
    "parts of a class": ("--method dd --ipc 3 --eval-per-class 2", "--eval-per-class 2 does not divide the 3 image(s)"),
    "rates for one rate": (
        "--method dd --eval-recipe constant --eval-rate None",
        "--learned-rate each learns a rate for every step, but students of --eval-recipe constant take one",
    ),
    "other images in order": (
        "--method dd --ipc 1 --parameterization multi_formation",
        "--eval-recipe replay takes images in the order that they are stored in",
    ),
    "all images in order": ("--method dd --ipc 1 --whole", "which the whole training set has not"),
    "labels that nothing sees": (
        "--method dm --labels soft",
        "which --objective distribution_matching does not look at",
    ),
    "halves that are none": (
        "--method idc --image-optimizer per_class_sgd --halve-every 3",
        "--halve-every changes nothing with --image-optimizer per_class_sgd",
    ),
    "one start for several tasks": (
        "--method bptt --tasks 2 --pool 2",
        "--pool and --init-seed begin all as the same one",
    ),
    "two starts": ("--method bptt --pool 2 --init-seed 1", "not as both: leave one out"),
    "a rate of fixed images": (
        "--method ld --image-rate 2.0",
        "--image-rate changes nothing with --image-optimizer fixed",
    ),
    "certain labels": ("--method rtp --labels soft --label-certainty 1", "--label-certainty must be between 0 and 1"),
    "a flag of soft labels": ("--method rtp --label-rate 0.5", "--label-rate changes nothing with --labels hard"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_in_one_sentence(case, capsys):
    words, sentence = WRONG[case]
    assert main([*words.split(), "--workdir", "run"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_gradient_that_is_not_finite_stops_with_the_last_good_state(capsys):
    words = ("--method", "bptt", *QUICK, *SHORT, "--image-rate", "1e30", "--clip", "1e30", "--workdir", "run")
    assert main([*words, "--checkpoint-every", "1"]) != 0
    error = capsys.readouterr().err
    assert "stopped being finite" in error
    assert "last good state" in error or "nothing was saved before" in error


@pytest.mark.parametrize(
    ("cell", "steps", "segment", "rate", "image_rate", "moved", "whitened", "batch"),
    [
        (("cifar10", 1), 50, (2, 2), 0.01, 100, 1e-7, True, None),
        (("cifar10", 50), 30, (2, 40), 0.001, 1000, 1e-5, False, None),
        (("cifar100", 10), 20, (2, 20), 0.01, 1000, 1e-5, False, None),
        (("cifar100", 50), 80, (2, 40), 0.01, 1000, 1e-5, True, 125),
    ],
)
def test_mtt_has_settings_of_its_own_in_every_cell(cell, steps, segment, rate, image_rate, moved, whitened, batch):
    for method in ("mtt", "tesla"):
        own = paper_settings(method, *cell, {})
        assert (own.unroll_steps, (own.span, own.max_start), own.unroll_rate) == (steps, segment, rate)
        assert (own.image_rate, own.zca, own.student_batch) == (image_rate, whitened, batch)
        assert own.rate_rate * rate**2 == pytest.approx(moved)  # as fast as the rate itself moves as published


def test_a_published_cell_is_a_preset():
    rtp = parse(["--method", "rtp", "--dataset", "cifar10"])
    assert (rtp.unroll_steps, rtp.unroll_batch, rtp.unroll_rate, rtp.unroll_momentum) == (150, 32, 0.01, 0.9)
    assert (rtp.image_rate, rtp.image_momentum, rtp.clip, rtp.address_decay) == (0.1, 0.5, 2.0, 1e-4)
    assert (rtp.bases, rtp.downsample, rtp.real_batch, rtp.iterations, rtp.zca) == (16, 2, 64, 500_000, False)
    assert (rtp.eval_epochs, rtp.eval_batch, rtp.eval_rate, rtp.eval_momentum) == (300, 640, 0.01, 0.9)
    assert parse(["--method", "rtp", "--dataset", "cifar100"]).classes == 10
    bptt = parse(["--method", "bptt", "--dataset", "cifar10"])
    assert (bptt.unroll_batch, bptt.zca, bptt.start) == (10, True, "glorot")
    dd = parse(["--method", "dd", "--dataset", "mnist", "--ipc", "10"])
    assert (dd.network, dd.unroll_steps, dd.unroll_rate, dd.image_optimizer, dd.image_rate) == (
        "lenet",
        30,
        0.02,
        "adam",
        0.01,
    )
    assert (dd.eval_recipe, dd.eval_passes, dd.halve_every, dd.iterations) == ("replay", 3, 40 * 59, 400 * 59)
    assert METHODS["dd"].numbers["mnist"][10] == (79.5, 8.1)


def test_students_of_a_known_network_are_all_the_same_one():
    assert main([*KINDS["dd_known"], *QUICK, "--num-students", "3", "--workdir", "run"]) == 0
    values = read("run/result.json")["accuracy"]["condensed"]["values"]
    assert len(set(values)) == 1


@pytest.mark.slow
def test_one_memory_serves_subsets_of_its_classes_and_mixed_labels(capsys, monkeypatch):
    assert main(["--method", "rtp", *QUICK, *SHORT, "--workdir", "run"]) == 0
    words = ["run", "--subsets", "0+1", "--random-subsets", "1", "--num-students", "1", "--mixtures", "5"]
    words += ["--whole-epochs", "1"]
    assert recall.main([*words, "--recondense"]) == 0
    printed = capsys.readouterr().out
    rows = read("run/recall.json")["rows"]
    assert [sorted(row["accuracy"]) for row in rows[:2]] == 2 * [["all real images", "its own memory", "memory"]]
    assert rows[0]["classes"] == "0+1"
    assert sorted(rows[2]["accuracy"]) == ["memory", "memory, mixed labels"]
    assert "256 in 16 bases" in printed
    before = read("run/recall.json")["scores"]
    seen = {}

    def added(*_, title, finished, **__):
        seen[title] = finished
        return np.array([*finished, 0.5])

    monkeypatch.setattr(memories, "accuracies", lambda *_, **__: pytest.fail("it was trained before"))
    assert recall.main(words) == 0
    assert read("run/recall.json")["scores"] == before
    monkeypatch.setattr(memories, "accuracies", added)
    assert recall.main([*words, "--mixtures", "6", "--num-students", "2"]) == 0
    kept = {case: scores for case, scores in before.items() if "recondensed" not in case and case != "all/5 mixed"}
    assert seen == kept | {"all/6 mixed": []}


@pytest.mark.slow
def test_a_memory_of_a_subset_alone_is_a_run_as_long_as_the_memory_s_and_goes_on(monkeypatch):
    rate = ["--learned-rate", "one", "--eval-rate", "None"]
    assert main(["--method", "rtp", *QUICK, *SHORT, *rate, "--workdir", "run"]) == 0
    words = ["run", "--subsets", "7+9", "--random-subsets", "0", "--mixtures", "None", "--num-students", "1"]
    words += ["--whole-epochs", "1", "--recondense"]
    original, place = memories.make, Path("run/recondensed/7+9")

    def stopped(settings, stop):
        original(settings.replace(iterations=2), stop)
        (place / "condensed.npz").unlink()
        raise Stopped(signal.SIGTERM, "")

    monkeypatch.setattr(memories, "make", stopped)
    assert recall.main(words) == 128 + signal.SIGTERM
    begun = (place / "metrics.jsonl").read_text().splitlines()
    monkeypatch.setattr(memories, "make", original)
    assert recall.main(words) == 0
    log = (place / "metrics.jsonl").read_text().splitlines()
    assert (log[:2], len(log)) == (begun, 4)
    own, shared = (dc.load_condensed(at / "condensed.npz") for at in (place, Path("run")))
    assert own.class_names == ("7", "9")
    assert own.compact["bases"].shape == shared.compact["bases"].shape
    assert own.meta["iterations"] == shared.meta["iterations"] == 4
    monkeypatch.setattr(memories, "make", lambda *_: pytest.fail("it was made before"))
    rates = {}

    def added(*_, title, hyper, finished, **__):
        rates[title] = {name: float(value) for name, value in dict(hyper).items()}
        return np.array([*finished, 0.5])

    monkeypatch.setattr(memories, "accuracies", added)
    assert recall.main([*words, "--num-students", "2"]) == 0
    learned = [{name: float(value) for name, value in each.hyper.items()} for each in (own, shared)]
    assert [rates["7+9/recondensed, 4 iterations"], rates["7+9/memory"]] == learned
    assert learned[0] != learned[1]
    scores = read("run/recall.json")["scores"]
    assert len(scores["7+9/recondensed, 4 iterations"]) == 2

    def diverged(*_):
        raise Diverged("The loss stopped being finite.")

    shutil.rmtree(place)
    monkeypatch.setattr(memories, "make", diverged)
    assert recall.main([*words, "--num-students", "3"]) == 0
    assert [*read("run/recall.json")["rows"][0]["accuracy"]] == ["memory", "all real images"]


def test_a_memory_was_made_by_the_iterations_that_it_notes_or_else_by_those_of_its_log(tmp_path):
    timed = parse(["--method", "rtp", *QUICK[:2], "--minutes", "1"])

    def iterations(settings, **meta):
        memory = dc.Condensed(None, (), None, {}, {}, meta)
        return memories.Tests(tmp_path, settings, memory, None, None, None, 1, 1, 0)._iterations()

    with pytest.raises(dc.InputError, match="Nothing says how many iterations made"):
        iterations(timed)
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1}\n{"iteration": 7}\n')  # that of a run that has gone on
    assert iterations(timed) == 7
    assert iterations(timed, iterations=5) == 5
    assert iterations(timed.replace(minutes=None, iterations=9)) == 9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "There is no nowhere/condensed.npz"),
        (["run", "--subsets", "0+99"], "'0+99' is no subset"),
        (["run", "--subsets", "01+1"], "'01+1' is no subset"),
        (["run", "--size", "11"], "--size 11 is no number of classes"),
        (["pixels"], "holds no addressable memory but pixels"),
        (["soft"], "The labels of soft were learned, but what a memory recalls has the label that it is recalled by"),
    ],
)
def test_recalling_refuses_what_cannot_be(words, sentence, capsys):
    if words[0] != "nowhere":
        method = "bptt" if words[0] == "pixels" else "rtp"
        own = [*QUICK, *SHORT, "--iterations", "1", *(["--labels", "soft"] if words[0] == "soft" else [])]
        assert main(["--method", method, *own, "--workdir", words[0]]) == 0
    assert recall.main(words) == 2
    assert sentence in capsys.readouterr().err
