"""The command line of a run: what it leaves behind, and how it is stopped, resumed and kept from being another."""

import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline.rundir import RunDirectory
from experiments.run import main
from experiments.settings.parse import parse
from experiments.settings.saved import dump

ROOT = Path(__file__).parents[1]
SMALL = ("--network", "mlp", "--num-students", "2", "--eval-epochs", "2", "--checkpoint-every", "1")
ITERATIONS = 4


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def start(*arguments):
    """Starts a run in a process of its own."""
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


def logged(run, name):
    """What the run logged under a name, in order."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row[name] for row in rows if name in row]


def saved_iterations(run):
    return [int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit()]


@pytest.fixture(name="whole_run", scope="module")
def _whole_run(tmp_path_factory):
    """The directory of an uninterrupted run, and what it printed."""
    run, out = tmp_path_factory.mktemp("whole") / "run", io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*SMALL, "--iterations", str(ITERATIONS), "--eval-at", "2", "--workdir", str(run)]) == 0
    return run, out.getvalue()


@pytest.fixture(name="copy")
def _copy(whole_run, tmp_path):
    """The same run in a directory that a test may change."""
    return Path(shutil.copytree(whole_run[0], tmp_path / "copy"))


def test_a_run_leaves_everything_one_needs(whole_run):
    run, out = whole_run
    files = {"config.json", "data.json", "scores.json", "metrics.jsonl", "checkpoints", "result.json"}
    assert {path.name for path in run.glob("[!.]*")} == files | {"condensed.npz", "condensed.png", "curves.png"}
    result = json.loads((run / "result.json").read_text())
    assert {name: score["students"] for name, score in result["accuracy"].items()} == {"condensed": 2, "random": 2}
    argv = shlex.split(result["command"])
    assert argv[:3] == ["python", "-m", "experiments.run"]
    assert dump(parse([*argv[3:], "--workdir", result["config"]["workdir"]])) == result["config"]
    assert result["config"]["seed"] == 0
    assert result["hardware"].startswith("4 x cpu")
    rows = RunDirectory(str(run)).history()
    assert [row["iteration"] for row in rows if "loss" in row] == [*range(1, ITERATIONS + 1)]
    assert [row["iteration"] for row in rows if "accuracy" in row] == [2]
    assert "random real images" in out
    assert result["against_random"]["sentence"] in out
    assert dc.load_condensed(run / "condensed.npz").meta["accuracy"] == result["accuracy"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_within_an_iteration_and_it_goes_on_with_the_same_bits(
    number, whole_run, tmp_path, monkeypatch, capsys
):
    run, log = tmp_path / "run", RunDirectory.log

    def log_and_signal(self, **metrics):
        log(self, **metrics)
        if metrics["iteration"] == 3:
            signal.raise_signal(number)

    arguments = ("--no-baseline", "--checkpoint-every", "100", "--iterations", str(ITERATIONS), "--workdir", str(run))
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "log", log_and_signal)
        assert main([*SMALL, *arguments]) == 128 + number
    assert f"Continue with: python -m experiments.run --resume --workdir {run}" in capsys.readouterr().err
    assert saved_iterations(run) == [3]
    assert main(["--workdir", str(run), "--resume"]) == 0
    np.testing.assert_array_equal(images(run), images(whole_run[0]))
    assert logged(run, "loss") == logged(whole_run[0], "loss")


@pytest.mark.slow
def test_killed_and_resumed_is_uninterrupted_bit_for_bit(tmp_path):
    run, uninterrupted = tmp_path / "run", tmp_path / "uninterrupted"
    arguments = ("--no-baseline", "--iterations", "40", "--workdir")
    process = start(*arguments, str(run))
    wait_for_iteration(process, run, 7)
    process.kill()
    process.communicate()
    assert len(logged(run, "loss")) < 40
    for process in (start("--workdir", str(run), "--resume", "--no-baseline"), start(*arguments, str(uninterrupted))):
        _, err = process.communicate()
        assert process.returncode == 0, err
    np.testing.assert_array_equal(images(run), images(uninterrupted))
    assert logged(run, "loss") == logged(uninterrupted, "loss")
    hardware = json.loads((run / "result.json").read_text())["hardware"]
    assert hardware.startswith(f"{min(len(os.sched_getaffinity(0)), 8)} x cpu")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_process_saves_within_an_iteration_and_says_how_to_go_on(number, tmp_path):
    run = tmp_path / "run"
    process = start("--iterations", "500000", "--checkpoint-every", "500000", "--workdir", str(run))
    wait_for_iteration(process, run, 3)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 128 + number
    assert f"Continue with: python -m experiments.run --resume --workdir {run}" in err
    assert saved_iterations(run) == [len((run / "metrics.jsonl").read_text().splitlines())]


@pytest.mark.slow
def test_an_unknown_flag_ends_a_real_process_with_one_line():
    process = start("--wdth", "4")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err == "error: There is no flag --wdth: did you mean --width? All flags are listed by --help.\n"


@pytest.mark.slow
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
    patience = "--xla_cpu_collective_call_terminate_timeout_seconds=1000000"
    assert {patience, *told.get("XLA_FLAGS", "").split()} < set(flags)


def fails(capsys, *arguments):
    """Runs the command line in this process; gives its one sentence."""
    code = main([*arguments])
    err = capsys.readouterr().err.strip()
    assert code == 2, err
    assert len(err.splitlines()) == 1, err
    return err.removeprefix("error: ")


def test_a_run_is_neither_overwritten_nor_resumed_as_another(whole_run, capsys):
    run = str(whole_run[0])
    assert "is not empty: give --resume to continue a run that is there" in fails(capsys, "--workdir", run)
    message = fails(capsys, "--workdir", run, "--resume", "--seed", "1", "--image-rate", "0.2")
    assert "(--seed was 0, is 1; --image-rate was 0.02, is 0.2)" in message
    message = fails(capsys, "--workdir", run, "--resume", "--iterations", "3")
    assert f"This run is at iteration {ITERATIONS} already: give --iterations {ITERATIONS} or more" in message


def test_a_loss_that_is_no_number_stops_the_run(capsys):
    arguments = ("--iterations", "50", "--image-rate", "1e38", "--distance", "squared_error", "--workdir", "run")
    assert main([*SMALL, *arguments]) == 1
    err = capsys.readouterr().err
    assert "in iteration" in err
    assert "the last good state, of iteration" in err
    assert "lower rates, --image-rate first" in err


def test_other_data_are_not_resumed_on(copy, capsys):
    noted = json.loads((copy / "data.json").read_text())
    (copy / "data.json").write_text(json.dumps({**noted, "sha256": "0"}))
    assert "was started on other training data" in fails(capsys, "--workdir", str(copy), "--resume")


def test_a_run_killed_before_its_first_checkpoint_is_resumed_from_the_beginning(whole_run, copy, capsys):
    for path in copy.iterdir():
        if path.name not in ("config.json", "data.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main(["--workdir", str(copy), "--resume", "--no-baseline"]) == 0, capsys.readouterr().err
    assert logged(copy, "loss") == logged(whole_run[0], "loss")


def test_an_evaluation_that_was_stopped_goes_on_with_the_next_student(copy, capsys):
    before = json.loads((copy / "result.json").read_text())["accuracy"]
    content = json.loads((copy / "scores.json").read_text())
    condensed, random = (content["scores"][name] for name in ("condensed", "random"))
    content["scores"] = {"condensed": [0.125, *condensed[1:]], "random": random[:1]}
    del content["sha256"]  # as earlier versions wrote it
    (copy / "scores.json").write_text(json.dumps(content))
    assert main(["--workdir", str(copy), "--resume"]) == 0, capsys.readouterr().err
    after = json.loads((copy / "result.json").read_text())["accuracy"]
    assert after["condensed"]["values"] == [12.5, *before["condensed"]["values"][1:]]  # noted, so not trained again
    assert after["random"] == before["random"]
