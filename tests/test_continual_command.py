"""`python -m experiments.continual`: what comes in steps, what it is remembered by, and what is written down."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
from dcjax.experts import note
from experiments import continual, evaluate
from experiments.pipeline import execute, lessons, outcomes, scores
from experiments.pipeline.endings import Diverged, Stopped
from experiments.pipeline.step import Step
from experiments.pipeline.streams import Classes, Sets
from experiments.run import main as run
from experiments.settings.flags import read
from experiments.settings.saved import dump

ROOT = Path(__file__).parents[1]
PLACE = Path("runs/continual-digits")
QUICK = ("--orders", "0", "--networks", "2", "--epochs", "1", "--augment", "none", "--ipc", "2")
NETWORK = ("--", "--network", "mlp")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch, no_pictures):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


def result(place=PLACE):
    return json.loads((place / "continual.json").read_text())


def test_classes_come_in_their_order_and_are_tested_together():
    data = small_data(num_classes=4)
    stream = Classes(data, (2, 0, 3, 1), 2)
    assert [stream.of_step(t) for t in range(2)] == [(2, 0), (3, 1)]
    assert [stream.seen(t) for t in range(2)] == [2, 4]
    counts = np.array(data.test.counts)
    np.testing.assert_allclose(
        stream.weights(1), [counts[[2, 0]].sum() / counts.sum(), counts[[3, 1]].sum() / counts.sum()]
    )

    def all_first(test):
        return np.zeros((1, len(test.label)), int)

    first, second = stream.accuracies(all_first, 1)  # class 2 is the first that came
    np.testing.assert_allclose(first, counts[2] / counts[[2, 0]].sum())
    np.testing.assert_allclose(second, 0)
    assert len(stream.accuracies(all_first, 0)) == 1


def test_memories_are_trained_on_with_the_labels_of_their_place_in_the_order():
    data = small_data(num_classes=4)
    stream = Classes(data, (2, 0, 3, 1), 2)
    memories = [data.only(stream.of_step(t)).sample(jax.random.key(0), 3) for t in range(2)]
    batch = stream.batch(memories, 1)
    mean_row = np.asarray(batch.image[..., 0]).mean(2).argmax(1) // 2  # a class is bright at a height of its own
    np.testing.assert_array_equal(np.array(stream.order)[batch.label.argmax(-1)], mean_row)


def test_a_sequence_is_learned_from_a_whole_data_set_and_memories_of_those_before():
    data = small_data()
    stream = Sets((data, data))
    memory = data.sample(jax.random.key(0), 2)
    assert len(stream.batch([], 0).image) == len(data.train.image)
    assert len(stream.batch([memory], 1).image) == len(data.train.image) + 6
    np.testing.assert_allclose(stream.weights(1), [0.5, 0.5])


def test_a_command_leaves_a_table_and_goes_on_where_it_was_stopped(monkeypatch, capsys):
    words = ["--steps", "2", "--methods", "random", "--training", "onward,distilled", *QUICK]
    calls, last, mapped = [], None, lessons._mapped

    def counted(*args):
        calls.append(args)
        if len(calls) == last:
            raise Stopped(signal.SIGTERM, "")
        return mapped(*args)

    monkeypatch.setattr(lessons, "_mapped", counted)
    assert continual.main([*words, "--workdir", "whole", *NETWORK]) == 0
    whole, all_calls = result(Path("whole")), len(calls)
    calls, last = [], 4
    assert continual.main([*words, *NETWORK]) == 128 + signal.SIGTERM
    assert not (PLACE / "continual.json").exists()
    calls, last = [], None
    monkeypatch.setattr("experiments.pipeline.step_memories.make", lambda *args: pytest.fail("it was made before"))
    assert continual.main([*words, *NETWORK]) == 0
    assert len(calls) == all_calls - 3
    found = result()
    assert found["rows"] == whole["rows"]
    assert "seconds" in whole
    assert "seconds" not in found
    (onward, distilled) = found["rows"]
    assert [row["training"] for row in found["rows"]] == ["onward", "distilled"]
    assert onward["accuracy"][0] == distilled["accuracy"][0]  # the same networks
    assert onward["bytes"] == [2 * 5 * 64 * 4, 2 * 10 * 64 * 4]
    assert (PLACE / "continual.png").stat().st_size > 1000
    assert "| random | onward |" in (PLACE / "continual.md").read_text()
    assert not (PLACE / "weights").exists()
    assert "random on digits" not in capsys.readouterr().out.split("random, onward")[-1]


@pytest.mark.slow
def test_memories_are_runs_of_the_classes_of_a_step_alone(monkeypatch):
    made = []
    monkeypatch.setattr(
        "experiments.pipeline.step_memories.make",
        lambda settings, stop: made.append(settings) or execute.make(settings, stop),
    )
    assert continual.main(["--steps", "5", "--methods", "random", *QUICK, *NETWORK]) == 0
    order = dc.continual.class_order(0, 10)
    assert [settings.only_classes for settings in made] == [order[2 * t : 2 * t + 2] for t in range(5)]
    first = dc.load_condensed(PLACE / "random-0-1" / "condensed.npz")
    assert first.class_names == tuple(str(k) for k in order[:2])


@pytest.mark.slow
def test_memories_go_on_for_more_minutes_and_networks_are_trained_on_them_again(capsys):
    words = ["--steps", "2", "--methods", "dm", *QUICK]
    flags = [*NETWORK, "--real-batch", "4", "--minutes"]
    assert continual.main([*words, *flags, "0.0001"]) == 0
    short, first = memory_lengths("dm"), stored_scores()
    assert continual.main([*words, *flags, "0.01"]) == 0
    long = memory_lengths("dm")
    assert all(after > before for before, after in zip(short, long))
    assert len(stored_scores()) == 2 * len(first)
    capsys.readouterr()
    assert continual.main([*words, *flags, "0.01"]) == 0
    assert "condensing" not in capsys.readouterr().out
    assert memory_lengths("dm") == long


def memory_lengths(method):
    return [dc.load_condensed(PLACE / f"{method}-0-{t}" / "condensed.npz").meta["iterations"] for t in (1, 2)]


def stored_scores():
    return json.loads((PLACE / "scores.json").read_text())["scores"]


@pytest.mark.slow
def test_what_does_not_concern_a_network_leaves_its_accuracy():
    words = ["--steps", "2", "--methods", "random", *QUICK]
    assert continual.main([*words, "--training", "onward,distilled", *NETWORK]) == 0
    before = stored_scores()
    words[3] = "random,herding"
    assert continual.main([*words, "--training", "onward", "--experts", "3", *NETWORK, "--coreset-epochs", "1"]) == 0
    assert before.items() <= stored_scores().items()
    assert (
        continual.main([*words, "--training", "distilled", "--temperature", "4", *NETWORK, "--coreset-epochs", "1"])
        == 0
    )
    changed = {case for case in stored_scores() if case.startswith("random/distilled")}
    assert len(changed) == 3 + 2  # those after the second step are others now


def test_accuracies_of_an_earlier_version_are_not_gone_on_with(tmp_path, capsys):
    content = {
        "random/scratch/order 0/step 1/task 1": [0.5],
        "random/scratch/order 0/step 1/task 1/memories abc": [0.6],
    }
    store = scores.ScoreStore(tmp_path / "scores.json", {}, {"settings": {}, "scores": content})
    continual._forget(store)
    assert [*store.content["scores"].values()] == [[0.6]]
    assert "networks are trained again" in capsys.readouterr().out


def test_memories_from_which_others_have_grown_are_not_made_for_longer():
    words = ["--steps", "2", "--methods", "rtp_shared", *QUICK[:-1], "4"]
    wanted = read(continual.Continual, words).resolved()
    streams = continual._streams(wanted)
    begun, longer = (
        continual._memories(wanted, PLACE, [*NETWORK[1:], "--bases", "2", "--minutes", minutes], None)
        for minutes in ("1", "2")
    )
    for settings in (begun._settings(Step("rtp_shared", 0, t, streams[0])) for t in range(2)):
        Path(settings.workdir).mkdir(parents=True)
        Path(settings.workdir, "config.json").write_text(json.dumps(dump(settings)))
    begun.check(streams, (0,))
    refusal = "rtp_shared-0-2 has grown from a memory that was made for --minutes 1: make it so, or give another"
    for memories in (
        longer,
        dataclasses.replace(longer, methods=("rtp",)),
    ):  # whose first memory the other has grown from
        with pytest.raises(dc.InputError, match=refusal):
            memories.check(streams, (0,))


def test_a_network_that_diverged_in_one_step_counts_in_the_others():
    accuracy = np.full((2, 2, 2), np.nan)
    accuracy[0, 0], accuracy[1] = [np.nan, 0.9], [[0.5, 0.6], [0.7, 0.8]]
    np.testing.assert_allclose(outcomes._mean(accuracy), [[0.9, np.nan], [0.55, 0.75]])
    accuracy[0, 0] = np.nan
    with pytest.raises(Diverged):
        outcomes._mean(accuracy)


@pytest.mark.parametrize("has_others", [False, True])
def test_a_command_removes_its_own_weights_alone(has_others, tmp_path):
    own, others = tmp_path / "weights" / "own" / "a.npz", tmp_path / "weights" / "a_users.pt"
    own.parent.mkdir(parents=True)
    own.touch()
    if has_others:
        others.touch()
    lessons.Lessons(None, None, 2.0, 1, own.parent, None, None).forget_weights()
    assert [*tmp_path.glob("weights/*")] == [others] * has_others
    assert others.parent.exists() == has_others


def test_a_memory_begun_with_other_experts_is_refused(capsys):
    (PLACE / "mtt-0-1").mkdir(parents=True)
    (PLACE / "experts-0-1").mkdir()
    words = ["--steps", "2", "--methods", "mtt", *QUICK]
    memories = continual._memories(read(continual.Continual, words).resolved(), PLACE, [*NETWORK[1:]], None)
    streams = continual._streams(read(continual.Continual, words).resolved())
    settings = memories._settings(Step("mtt", 0, 0, streams[0]))
    (PLACE / "mtt-0-1" / "config.json").write_text(json.dumps(dump(settings)))
    note(PLACE / "experts-0-1", {"number": 10, "epochs": 20})
    memories.check(streams, (0,))
    assert continual.main([*words, "--experts", "3", *NETWORK]) == 2
    assert (
        "mtt-0-1 was begun with 10 experts of 20 epochs, not 3 of 20: give another --workdir."
        in capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_memory_may_be_tested_by_itself():
    assert continual.main(["--steps", "2", "--methods", "random", *QUICK, *NETWORK]) == 0
    place = PLACE / "random-0-1"
    few = ["--num-students", "1"]
    assert run(["--resume", "--workdir", str(place), *few, "--eval-epochs", "1", "--no-baseline"]) == 0
    assert json.loads((place / "result.json").read_text())["complete"]
    assert evaluate.main([str(place), *few, "--rivals", "none", "--epochs", "1", "--networks", "mlp"]) == 0


BAD = {
    "steps": (
        ["--steps", "3"],
        "--steps 3 does not divide the 10 classes of digits into groups of two or more: give 1, 2, 5.",
    ),
    "one class a step": (["--steps", "10"], "--steps 10 does not divide the 10 classes"),
    "a memory larger than a class": (
        ["--ipc", "200", "--methods", "random"],
        "--ipc 200 asks for more images than there are: class '8' has 139 to train on.",
    ),
    "experts of a class that is too small": (["--ipc", "200", "--methods", "haba"], "--ipc 200 asks for more images"),
    "segments behind the last epoch": (
        ["--methods", "mtt", "--expert-epochs", "3"],
        "Segments that begin up to epoch 9 and span 2 end at epoch 11, but the experts of every step were trained for 3",
    ),
    "no place for addresses": (
        ["--ipc", "3", "--methods", "rtp_shared"],
        "16 bases of side 1/2 take 256 of the 384 values of 3 image(s) per class",
    ),
    "method": (["--methods", "hreding"], "--methods must be one of"),
    "twice": (["--methods", "dm,dm"], "--methods names one twice: give each once."),
    "steps of a sequence": (["--sequence", "digits,mnist", "--steps", "2"], "--steps changes nothing with --sequence"),
    "one set": (["--sequence", "digits"], "--sequence digits is one data set: give two or more, or --data."),
    "flag of the command": (["--", "--only-classes", "1"], "--only-classes is the command's own to set"),
    "flag of students": (["--", "--eval-epochs", "1"], "--eval-epochs is the command's own to set"),
    "flag of none": (["--methods", "random", "--", "--iterations", "3"], "--iterations belongs to --method"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_before_anything_is_made(case, capsys):
    words, message = BAD[case]
    assert continual.main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert not Path("runs").exists()
    assert "image(s) per class, in" not in out


def write_set(name, names, shape=(8, 8, 1)):
    label = np.repeat(np.arange(len(names)), 8)
    image = np.random.default_rng(0).integers(0, 255, (len(label), *shape), np.uint8)
    np.savez(name, images=image, labels=label, class_names=np.array(names))
    return f"npz:{name}"


def test_data_sets_of_a_sequence_have_the_same_classes_and_one_shape(capsys):
    digits = [str(k) for k in range(10)]
    others = write_set("others.npz", [f"of {k}" for k in digits])
    assert continual.main(["--sequence", f"digits,{others}"]) == 2
    assert "has the classes of 0, of 1, of 2" in capsys.readouterr().err
    colours = write_set("colours.npz", digits, (12, 12, 3))
    assert continual.main(["--sequence", f"digits,{colours}"]) == 2
    message = f"error: {colours} has the images 12 x 12 x 3, but digits has 8 x 8 x 1: give --image-size, and --channels if those differ.\n"
    assert capsys.readouterr().err == message
    words = ("--image-size", "8", "--channels", "3", "--methods", "random", *QUICK, "--workdir", "both")
    assert continual.main(["--sequence", f"{colours},digits", *words, *NETWORK]) == 0
    found = result(Path("both"))
    assert [row["training"] for row in found["rows"]] == ["onward", "distilled"]
    assert found["rows"][0]["bytes"] == [0, 2 * 10 * 8 * 8 * 3 * 4]
    assert [len(step) for step in found["rows"][0]["tasks"][0]] == [1, 2]


@pytest.mark.slow
def test_digits_in_five_steps_with_every_memory():
    """Those that the papers compare, and a shared one, at a tiny size."""
    methods = ("random", "herding", "k_center", "dc", "dsa", "dm", "idc", "rtp", "rtp_shared", "haba")
    words = ["--methods", ",".join(methods), "--orders", "0", "--networks", "1", "--epochs", "60", "--ipc", "10"]
    words += ["--augment", "none", "--experts", "1", "--expert-epochs", "2", "--devices", "1"]
    quick = [
        "--width",
        "4",
        "--depth",
        "1",
        "--iterations",
        "2",
        "--matches",
        "2",
        "--inner-epochs",
        "1",
        "--network-steps",
        "2",
    ]
    quick += ["--coreset-epochs", "1", "--unroll-steps", "3", "--max-start", "1", "--span", "1"]
    assert continual.main([*words, "--", *quick]) == 0
    rows = result()["rows"]
    assert [row["method"] for row in rows] == [*methods]
    most = 10 * 10 * 64 * 4
    assert all(row["bytes"] == [most * t // 5 for t in range(1, 6)] for row in rows[:7])
    assert all(0.8 * most < row["bytes"][-1] <= most for row in rows)
    assert all(len(row["accuracy"]) == 5 and np.isfinite(row["forgetting"]["mean"]) for row in rows)
    at_the_end = {row["method"]: row["accuracy"][-1]["mean"] for row in rows}
    assert min(at_the_end[name] for name in ("random", "herding", "dm")) > 50
    earlier, later = (dc.load_condensed(PLACE / f"rtp_shared-0-{t}" / "condensed.npz").compact for t in (2, 3))
    np.testing.assert_array_equal(later["known"][16:], earlier["bases"])


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_results():
    words = ["--steps", "2", "--methods", "dm", "--training", "distilled", *QUICK]
    passed = [*NETWORK, "--iterations", "40", "--checkpoint-every", "5"]
    assert continual.main([*words, "--workdir", "whole", *passed]) == 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "4"}
    command = [sys.executable, "-m", "experiments.continual", *words, *passed]
    for seconds in (8, 14, 20):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM if seconds < 20 else signal.SIGKILL)
        assert process.wait(timeout=120) in (0, 128 + signal.SIGTERM, -signal.SIGKILL, -signal.SIGTERM)
    assert continual.main([*words, *passed]) == 0
    assert result()["rows"] == result(Path("whole"))["rows"]


@pytest.mark.slow
def test_a_memory_grows_from_that_of_a_run(capsys):
    words = ["--method", "rtp", "--ipc", "8", "--iterations", "1", "--unroll-steps", "2", "--no-baseline"]
    words += ["--num-students", "1", "--eval-epochs", "1", "--network", "mlp", "--devices", "1"]
    assert run([*words, "--only-classes", "0,1", "--workdir", "first"]) == 0
    grown = ["--parameterization", "grown_memory", "--only-classes", "2,3"]
    assert run([*words, *grown, "--grows", "first", "--workdir", "second"]) == 0
    first, second = (dc.load_condensed(Path(name, "condensed.npz")) for name in ("first", "second"))
    np.testing.assert_array_equal(second.compact["known"], first.compact["bases"])
    np.testing.assert_allclose(second.decode().image, second.batch.image, atol=1e-5)
    assert sum(second.compact[name].nbytes for name in ("bases", "addresses")) <= 8 * 2 * 64 * 4
    capsys.readouterr()
    for more, message in (
        ([], "--parameterization grown_memory grows from an earlier memory: give the directory of its run by --grows"),
        (["--grows", "none"], "There is no file none/condensed.npz"),
        (["--grows", "first", "--downsample", "4"], "A memory grows from bases of [2, 2, 1], not [4, 4, 1]"),
    ):
        assert run([*words, *grown, *more, "--workdir", "third"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: {message}")
        assert len(err.splitlines()) == 1
    assert not Path("third").exists()
