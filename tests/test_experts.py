"""Experts survive kills with the same bits, are read a segment at a time, and fit the run that uses them or are refused."""

import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import chex
import jax
import numpy as np
import optax
import pytest

import dcjax as dc
from dcjax import experts, training
from experiments import experts as command
from experiments.pipeline import schooling
from experiments.pipeline.recipes import recipe
from experiments.run import main

FEW = ("--number", "3", "--epochs", "4", "--at-once", "2", "--batch", "500")
MLP = ("--", "--network", "mlp")
PLACE = Path("runs/experts-digits")
RUN = ("--network", "mlp", "--iterations", "4", "--max-start", "3", "--unroll-steps", "2", "--num-students", "1")
RUN += ("--eval-epochs", "1", "--no-baseline", "--checkpoint-every", "1")


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
    """A directory with experts below it."""
    place = tmp_path_factory.mktemp("made")
    assert command.main([*FEW, "--workdir", str(place / PLACE), *MLP]) == 0
    return place


@pytest.fixture(autouse=True)
def _surroundings(made, tmp_path, monkeypatch, no_pictures):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def weights(place=PLACE, number=3, epochs=4):
    found = experts.Experts(place)
    return [[found.weights(expert, epoch) for epoch in range(epochs + 1)] for expert in range(number)]


def test_weights_are_there_for_every_epoch_and_differ():
    first, *_ = jax.tree.leaves(jax.tree.map(lambda *x: np.stack(x), *itertools.chain(*weights())))
    assert len(np.unique(first.reshape(15, -1), axis=0)) == 15


def test_an_expert_is_a_network_trained_on_the_real_images():
    data = dc.data.load("digits")
    net = dc.network(dc.networks.MLP(10), data.image_shape)
    loss = training.cross_entropy(net)
    losses = [float(jax.jit(loss)(params, data.train.batch())) for params in weights()[0]]
    assert losses == sorted(losses, reverse=True)
    number = np.arange(2)
    optimizer = optax.sgd(0.05)
    school = schooling.School(
        net, data.train, jax.random.key(0), 3, 4, optimizer, 500, dc.augment.identity, 2, "float32"
    )
    untrained, _ = schooling._untrained(school, number)
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[1], untrained), weights()[1][0])


@pytest.mark.slow
def test_training_that_was_stopped_anywhere_and_more_experts_give_the_same_bits(monkeypatch):
    expected = weights()
    calls, save = [], experts.save

    class Killed(BaseException):
        pass

    def interrupted(*args):
        calls.append(args)
        if len(calls) in (1, 4, 9, 14):
            raise Killed
        save(*args)

    monkeypatch.setattr(experts, "save", interrupted)
    ended = 0
    while True:
        try:
            assert command.main(["--workdir", "other", *FEW[2:], "--number", "1" if ended < 2 else "3", *MLP]) == 0
            if ended:
                break
        except Killed:
            ended += 1
    assert ended > 2
    for ours, theirs in zip(weights("other"), expected, strict=True):
        chex.assert_trees_all_equal(ours, theirs)


@pytest.mark.slow
def test_five_kills_give_the_same_bits():
    line = [sys.executable, "-m", "experiments.experts", "--workdir", "killed", *FEW, *MLP]
    for seconds in (4, 6, 7, 8, 9):
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    subprocess.run(line, check=True, capture_output=True)
    subprocess.run([*line[:4], "straight", *FEW, *MLP], check=True, capture_output=True)
    chex.assert_trees_all_equal(weights("killed"), weights("straight"))


def test_half_precision_takes_half_the_bytes_and_three_digits():
    assert command.main([*FEW, "--workdir", "half", "--stored", "float16", *MLP]) == 0
    for half, full in zip(jax.tree.leaves(weights("half")), jax.tree.leaves(weights()), strict=True):
        np.testing.assert_allclose(half, full, rtol=1e-3, atol=1e-6)
    params = weights()[0][0]
    assert experts.stored_bytes(params, 3, 4, "float16") * 2 == experts.stored_bytes(params, 3, 4, "float32")


def test_a_segment_is_the_same_for_the_same_seed_and_iteration_and_starts_below_the_last():
    found, known = experts.Experts(PLACE), weights()
    for t in range(6):
        starts, targets = found.segments(0, t, 2, 3, 2)
        again = found.segments(0, t, 2, 3, 2)
        chex.assert_trees_all_equal((starts, targets), again)
        for row in range(2):
            one, later = (jax.tree.map(lambda x, row=row: x[row], tree) for tree in (starts, targets))
            (which,) = [
                (expert, epoch)
                for expert in range(3)
                for epoch in range(3)
                if all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(known[expert][epoch])))
            ]
            chex.assert_trees_all_equal(later, known[which[0]][which[1] + 2])


def test_a_run_goes_on_with_the_experts_that_it_began_with(capsys):
    usual = [*RUN[:-1], "2"]  # the last says how often a state is saved
    flags = ["--method", "mtt", "--ipc", "2", "--image-rate", "1", *usual, "--workdir", "noted"]
    assert main(flags) == 0
    noted = json.loads(Path("noted/data.json").read_text())
    assert noted["experts"]["number"] == 3
    assert noted["experts"]["training"]["epochs"] == 4

    def losses(workdir):
        return [json.loads(line)["loss"] for line in Path(workdir, "metrics.jsonl").read_text().splitlines()]

    note = json.loads((PLACE / "experts.json").read_text())
    (PLACE / "experts.json").write_text(json.dumps({**note, "number": 1}))
    assert main([*flags[:-1], "of_one"]) == 0
    shutil.copytree("of_one", "stopped")
    shutil.rmtree("stopped/checkpoints/4")
    Path("stopped/result.json").unlink()
    (PLACE / "experts.json").write_text(json.dumps(note))  # two are added
    assert main(["--resume", "--workdir", "stopped"]) == 0
    assert losses("stopped") == losses("of_one") != losses("noted")
    for damage in ({"training": {}}, {"number": 4}, {"number": "x"}, None):
        wrong = damage and {**noted["experts"], **damage}
        Path("noted/data.json").write_text(json.dumps({**noted, "experts": wrong}))
        assert main(["--resume", "--workdir", "noted"]) == 2
        assert "are not those that this run was begun with" in capsys.readouterr().err


def test_what_is_read_ahead_is_what_is_asked_for():
    asked = []
    read = experts.ahead(lambda t: asked.append(t) or t)
    assert [read(t) for t in (0, 1, 2, 7, 7, 8)] == [0, 1, 2, 7, 7, 8]
    assert asked.count(1) == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_start": 5, "span": 2}, "end at epoch 6, but the experts in .* were trained for 4"),
        (
            {"max_start": 0, "span": 2},
            "A segment begins below epoch 1 or more and spans an epoch or more, not below 0 and 2",
        ),
        ({"max_start": 1, "span": 0}, "not below 1 and 0"),
        ({"max_start": 1, "span": 1, "number": 9}, "9 experts are asked for, but 2 in .* are complete"),
    ],
)
def test_segments_that_there_are_none_of_are_refused(asked, message, tmp_path):
    experts.note(tmp_path, {"number": 2, "epochs": 4})
    with pytest.raises(dc.InputError, match=message):
        experts.Experts(tmp_path).segments(0, 7, 1, **asked)


def test_memory_of_a_segment_does_not_grow_with_the_number_of_experts():
    def peak(number):
        place = Path(f"{number} experts")
        for expert in range(number):
            shutil.copytree(PLACE / "0000", place / f"{expert:04d}")
        experts.note(place, {"number": number, "epochs": 4})
        found = experts.Experts(place)
        found.segments(0, 0, 1, 3, 1)
        tracemalloc.start()
        for t in range(5):
            found.segments(0, t, 1, 3, 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(100) < 1.2 * peak(10)


@pytest.mark.parametrize("method", ["mtt", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tesla", "haba"))])
def test_a_run_resumes_bit_for_bit_and_decodes(method):
    flags = ("--method", method, "--ipc", "2", "--image-rate", "1", *RUN)
    assert main([*flags, "--workdir", "whole"]) == 0
    shutil.copytree("whole", "part")
    shutil.rmtree("part/checkpoints/4")
    for name in ("condensed.npz", "result.json"):
        Path("part", name).unlink()
    assert main(["--resume", "--workdir", "part"]) == 0
    whole, part = (dc.load_condensed(f"{run}/condensed.npz") for run in ("whole", "part"))
    chex.assert_trees_all_equal((whole.compact, whole.hyper), (part.compact, part.hyper))
    chex.assert_trees_all_close(part.decode(), part.batch, atol=1e-5)
    assert whole.hyper["raw_rate"].shape == ()
    assert whole.meta["bytes"]["compact"] <= 4 * 64 * 10 * 2
    rows = [json.loads(line) for line in Path("whole/metrics.jsonl").read_text().splitlines()]
    assert ("likeness" in rows[0]) == (method == "haba")
    judged = recipe("own", whole.meta, "digits", None)[1]
    assert judged.views == (5 if method == "haba" else 1)
    assert judged.description == whole.meta["recipe"]["training"]


REFUSED = {
    "none": (
        ["--experts", "no where", "--image-size", "9"],
        "make them by `python -m experiments.experts --dataset digits --workdir 'no where' -- --image-size 9 --network mlp`",
    ),
    "another network": (["--network", "convnet"], "(--network was mlp, is convnet; "),
    "another preprocessing": (["--zca"], "--zca was False, is True"),
    "a span beyond": (
        ["--span", "3"],
        "end at epoch 5, but the experts in runs/experts-digits were trained for 4: start before 2",
    ),
    "colourless bases": (
        ["--parameterization", "hallucinated", "--hallucinators", "2", "--base-channels", "1"],
        "--base-channels 1 is not for images of 1 channel(s)",
    ),
    "no place for bases": (
        ["--parameterization", "hallucinated", "--hallucinators", "9"],
        "9 hallucinators take 828 of the 640 values",
    ),
    "several tasks": (["--tasks", "2"], "--tasks 2 would compare with one segment of one expert 2 times"),
    "one view of a source": (["--eval-views", "one"], "--eval-views changes nothing with images that are one view"),
    "one view": (["--parameterization", "hallucinated", "--hallucinators", "1"], "leaves nothing to differ from"),
    "no target": (["--trajectory", "fresh"], "which --trajectory fresh does not bring: give --trajectory expert"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(case, capsys):
    words, sentence = REFUSED[case]
    usual = [word for word in RUN if case != "no target" or word not in ("--max-start", "3")]
    assert main(["--method", "mtt", *usual, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not Path("runs/mtt-digits-1").exists()


def test_experts_that_do_not_fit_on_the_disk_or_were_made_otherwise_are_refused(capsys, monkeypatch):
    assert command.main([*FEW, "--rate", "0.1", *MLP]) == 2
    assert "were made with --rate 0.05, not 0.1: give another --workdir" in capsys.readouterr().err
    assert command.main([*FEW, *MLP[:2], "convnet"]) == 2
    assert "were made with --network mlp, not convnet" in capsys.readouterr().err
    assert command.main([*FEW, *MLP, "--seed", "5", "--iterations", "7"]) == 2
    assert "--seed says nothing about the data or the network of experts" in capsys.readouterr().err
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(schooling.shutil, "disk_usage", lambda place: usage._replace(free=1000))
    assert command.main([*FEW, "--workdir", "new", *MLP]) == 2
    assert "are more than the 0.0 MiB that are free" in capsys.readouterr().err
    assert not Path("new").exists()
    assert command.main([*FEW, *MLP]) == 0  # they are there, and need no more room


def test_experts_that_another_command_made_before_this_one_held_the_place_are_not_made_again(monkeypatch):
    finished, seen = (PLACE / experts.NOTE).read_bytes(), []
    (PLACE / experts.NOTE).unlink()

    @contextlib.contextmanager
    def held(place):
        (place / experts.NOTE).write_bytes(finished)
        yield

    monkeypatch.setattr("experiments.experts.lock.held", held)
    monkeypatch.setattr(schooling, "train", lambda school, place, about, complete, stop: seen.append(complete))
    assert command.main([*FEW, *MLP]) == 0
    assert seen == [3]


def test_damaged_experts_are_named():
    where = experts.place(PLACE, 1, 2)
    shutil.rmtree(where)
    with pytest.raises(dc.InputError, match="0001/0002 is damaged or not there"):
        experts.Experts(PLACE).weights(1, 2)
    (PLACE / "experts.json").write_text("{}")
    with pytest.raises(dc.InputError, match="notes no experts that are complete"):
        experts.Experts(PLACE)
