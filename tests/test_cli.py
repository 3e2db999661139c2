"""The command line: what it leaves behind, how it is stopped and resumed, and what it says of bad input."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import dcjax as dc
from experiments import config as configs
from experiments.command_line import parse
from experiments.presets import dc_loops
from experiments.run import main

ROOT = Path(__file__).parents[1]
SMALL = ("--network", "mlp", "--num-students", "2", "--eval-epochs", "2", "--checkpoint-every", "1")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own, and no trace of one run in the next."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield
    jax.config.update("jax_compilation_cache_dir", None)


def start(*arguments):
    command = [sys.executable, "-m", "experiments.run", *SMALL, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def wait_for_iteration(process, run, iteration):
    metrics = run / "metrics.jsonl"
    while process.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= iteration:
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def images(run):
    return dc.load_condensed(run / "condensed.npz").compact["image"]


@pytest.fixture(name="whole_run", scope="module")
def _whole_run(tmp_path_factory):
    """An uninterrupted run in a process of its own."""
    run = tmp_path_factory.mktemp("whole") / "run"
    process = start("--iterations", "40", "--eval-at", "20", "--workdir", str(run))
    out, err = process.communicate()
    assert process.returncode == 0, err
    return run, out


def test_a_run_leaves_everything_one_needs(whole_run):
    run, out = whole_run
    assert {path.name for path in run.iterdir()} == {
        *(
            "config.json",
            "data.json",
            "scores.json",
            "metrics.jsonl",
            "checkpoints",
            "condensed.npz",
            "condensed.png",
            "curves.png",
            "result.json",
        )
    }
    result = json.loads((run / "result.json").read_text())
    assert {name: score["students"] for name, score in result["accuracy"].items()} == {"condensed": 2, "random": 2}
    argv = shlex.split(result["command"])
    assert argv[:3] == ["python", "-m", "experiments.run"]
    again = configs.dump(parse([*argv[3:], "--workdir", result["config"]["workdir"]]))
    assert json.loads(json.dumps(again)) == result["config"]
    assert result["config"]["seed"] == 0
    assert result["hardware"].startswith(f"{min(len(os.sched_getaffinity(0)), 8)} x cpu")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if "loss" in row] == list(range(1, 41))
    assert [row["iteration"] for row in rows if "accuracy" in row] == [20]
    assert "random real images" in out
    assert dc.load_condensed(run / "condensed.npz").meta["accuracy"] == result["accuracy"]


def test_killed_and_resumed_is_uninterrupted_bit_for_bit(whole_run, tmp_path):
    run = tmp_path / "run"
    process = start("--no-baseline", "--iterations", "40", "--workdir", str(run))
    wait_for_iteration(process, run, 7)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_at = len((run / "metrics.jsonl").read_text().splitlines())
    assert killed_at < 40
    process = start("--workdir", str(run), "--resume", "--no-baseline")
    assert process.wait() == 0, process.stderr.read()
    np.testing.assert_array_equal(images(run), images(whole_run[0]))
    losses = [
        [row["loss"] for row in map(json.loads, (path / "metrics.jsonl").read_text().splitlines()) if "loss" in row]
        for path in (run, whole_run[0])
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_within_an_iteration_and_says_how_to_go_on(number, tmp_path):
    run = tmp_path / "run"
    process = start("--iterations", "500000", "--checkpoint-every", "500000", "--workdir", str(run))
    wait_for_iteration(process, run, 3)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 128 + number
    assert f"Continue with: python -m experiments.run --resume --workdir {run}" in err
    saved = [int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit()]
    logged = len((run / "metrics.jsonl").read_text().splitlines())
    assert saved == [logged]


def fails(capsys, *arguments):
    """Runs the command line in this process; gives its one sentence."""
    code = main([*arguments])
    err = capsys.readouterr().err.strip()
    assert code == 2, err
    assert len(err.splitlines()) == 1, err
    return err.removeprefix("error: ")


BAD_FLAGS = {
    "unknown flag": (("--iteratoins", "3"), "There is no flag --iteratoins: did you mean --iterations?"),
    "unknown method": (("--method", "dcc"), "There is no method 'dcc': choose dc, dsa, dm, idc_i, idc, random"),
    "unknown network": (("--network", "convnt"), "There is no network 'convnt': choose convnet, mlp"),
    "unknown norm": (("--norm", "batch"), "'batch'"),
    "not a number": (("--ipc", "many"), "argument --ipc: invalid int value: 'many'"),
    "not a number for tyro": (("--seed", "many"), "--seed"),
    "no images": (("--ipc", "0"), "--ipc is the number of images per class and at least 1, not 0"),
    "more images than there are": (("--ipc", "500"), "--ipc 500 asks for more images than there are: class"),
    "more real images than there are": (("--ipc", "500", "--start", "real"), "--ipc 500 asks for more images"),
    "no iterations": (("--iterations", "0"), "--iterations must be at least 1, not 0"),
    "rate": (("--image-rate", "-1"), "--image-rate must be a positive number, not -1.0"),
    "depth": (("--depth", "6"), "6 blocks pool 8x8 images to nothing: lower the depth"),
    "seed": (("--seed", str(2**70)), "--seed must be from 0 to below 4294967296"),
    "momentum": (("--image-momentum", "1.5"), "--image-momentum must be from 0 to below 1, not 1.5"),
    "evaluation": (("--eval-at", "4000"), "--eval-at names iteration 4000, but the run goes from 1 to 300"),
    "groups": (("--norm", "group", "--width", "6"), "6 channels do not divide into 4 groups"),
    "no room": (("--workdir", "/proc/run"), "/proc/run cannot be written"),
    "nothing to resume": (("--resume", "--workdir", "none"), "There is no run to resume in none"),
    "folder": (("--dataset", "folder:none"), "There is no folder none"),
    "no path": (("--dataset", "folder:"), "'folder:' names no path: write folder:PATH"),
    "path without its kind": (("--dataset", str(ROOT)), f"is a path: write folder:{ROOT}"),
    "dataset": (("--dataset", "mnits"), "There is no dataset 'mnits': choose digits, mnist"),
}


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_bad_flags_get_one_sentence_before_anything_is_written(case, capsys, tmp_path):
    arguments, message = BAD_FLAGS[case]
    assert message in fails(capsys, *arguments)
    assert not list(tmp_path.iterdir())


def test_an_unknown_flag_ends_a_real_process_with_one_line():
    process = start("--wdth", "4")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err == "error: There is no flag --wdth: did you mean --width? All flags are listed by --help.\n"


@pytest.mark.parametrize(
    "told", [{}, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, {"JAX_NUM_CPU_DEVICES": "3"}]
)
def test_a_cpu_is_one_device_per_core_unless_told_otherwise(told):
    """In `export`, which reads a set before anything else; the result of `run` names its hardware."""
    program = (
        "import jax, os; from experiments.export import main; main(['nothing', '--format', 'npz']);"
        "print(jax.device_count(), os.environ['XLA_FLAGS'])"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    }
    environment |= {"JAX_PLATFORMS": "cpu", **told}
    found = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    devices, *flags = found.stdout.split()
    assert int(devices) == (3 if told else min(len(os.sched_getaffinity(0)), 8))
    assert {"--xla_cpu_collective_call_terminate_timeout_seconds=1000000", *told.get("XLA_FLAGS", "").split()} < set(
        flags
    )


def test_a_run_is_neither_overwritten_nor_resumed_as_another(whole_run, capsys):
    run = str(whole_run[0])
    assert "is not empty: give --resume to continue a run that is there" in fails(capsys, "--workdir", run)
    message = fails(capsys, "--workdir", run, "--resume", "--seed", "1", "--image-rate", "0.2")
    assert "(--seed was 0, is 1; --image-rate was 0.02, is 0.2)" in message
    message = fails(capsys, "--workdir", run, "--resume", "--iterations", "30", "--eval-at", "20")
    assert "This run is at iteration 40 already" in message


def test_damage_is_named_on_resume(whole_run, capsys, tmp_path):
    run = tmp_path / "copy"
    subprocess.run(["cp", "-r", whole_run[0], run], check=True)
    for path in (run / "checkpoints" / "40").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert "The checkpoint of iteration 40 is corrupt" in fails(capsys, "--workdir", str(run), "--resume")
    (run / "config.json").write_text("{")
    assert "config.json is damaged" in fails(capsys, "--workdir", str(run), "--resume")


def test_a_loss_that_is_no_number_stops_the_run(capsys, tmp_path):
    arguments = ("--iterations", "50", "--image-rate", "1e38", "--distance", "squared_error", "--workdir", "run")
    assert main([*SMALL, *arguments]) == 1
    err = capsys.readouterr().err
    assert "in iteration" in err
    assert "the last good state, of iteration" in err
    assert "lower rates, --image-rate first" in err


@pytest.mark.parametrize(
    ("ipc", "loops"), [(1, (1, 1)), (10, (10, 50)), (20, (20, 25)), (50, (50, 10)), (5, (5, 23)), (100, (50, 10))]
)
def test_loops_are_published_ones_and_in_between_a_rule(ipc, loops):
    assert dc_loops(ipc) == loops


def test_the_preset_is_the_papers_and_flags_override_it():
    config = parse(["--dataset", "mnist", "--ipc", "10", "--seed", "3"])
    assert (config.matches, config.inner_epochs, config.iterations, config.width) == (10, 50, 1000, 128)
    assert (config.eval_epochs, config.eval_augment, config.real_batch, config.seed) == (1000, "dc_digits", 256, 3)
    assert (config.image_rate, config.image_momentum, config.network_rate) == (0.1, 0.5, 0.01)
    paper = {"condensed": (97.4, 0.2), "random": (95.1, 0.9), "whole": (99.6, 0.0)}
    assert configs.published(config) == paper
    assert configs.published(parse(["--dataset", "mnist", "--ipc", "7"])) == {}
    assert configs.published(dataclasses.replace(config, width=64)) == {}


def test_other_data_are_not_resumed_on(whole_run, capsys, tmp_path):
    run = tmp_path / "copy"
    subprocess.run(["cp", "-r", whole_run[0], run], check=True)
    noted = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps({**noted, "sha256": "0"}))
    assert "was started on other training data" in fails(capsys, "--workdir", str(run), "--resume")


def test_a_run_killed_before_its_first_checkpoint_is_resumed_from_the_beginning(whole_run, tmp_path, capsys):
    run = tmp_path / "copy"
    run.mkdir()
    subprocess.run(["cp", whole_run[0] / "config.json", whole_run[0] / "data.json", run], check=True)
    arguments = ["--workdir", str(run), "--resume", "--iterations", "20"]
    assert main(arguments) == 0, capsys.readouterr().err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if "loss" in row] == list(range(1, 21))


def test_an_evaluation_that_was_stopped_goes_on_with_the_next_student(whole_run, tmp_path, capsys):
    run = tmp_path / "copy"
    subprocess.run(["cp", "-r", whole_run[0], run], check=True)
    before = json.loads((run / "result.json").read_text())["accuracy"]
    scores = json.loads((run / "scores.json").read_text())
    scores["scores"] = {
        "condensed": [0.125, *scores["scores"]["condensed"][1:]],
        "random": scores["scores"]["random"][:1],
    }
    (run / "scores.json").write_text(json.dumps(scores))
    assert main(["--workdir", str(run), "--resume"]) == 0, capsys.readouterr().err
    after = json.loads((run / "result.json").read_text())["accuracy"]
    assert after["condensed"]["values"] == [12.5, *before["condensed"]["values"][1:]]  # noted, so not trained again
    assert after["random"] == before["random"]
