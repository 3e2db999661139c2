"""Runs that are killed at any moment, or meet a full disk, end with the same bits as one that nothing happened to."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dcjax as dc

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
ITERATIONS, STUDENTS = 40, 8
SMALL = ("--network", "mlp", "--iterations", str(ITERATIONS), "--checkpoint-every", "1", "--no-baseline")
SMALL += ("--num-students", str(STUDENTS), "--eval-epochs", "3", "--eval-at", "20")


def start(run, devices):
    """Starts a run, or goes on with it, in a process of its own."""
    words = ["--resume"] if (run / "config.json").exists() else SMALL
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment |= {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "experiments.run", *words, "--workdir", str(run)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(run, devices):
    process = start(run, devices)
    _, error = process.communicate()
    assert (process.returncode, error) == (0, "")


def iterations(run):
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def saved(run):
    """Gives the iteration of the newest checkpoint."""
    return max(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit())


def saving(run):
    """Tells whether a checkpoint is half-written."""
    return any((run / "checkpoints").glob("*.orbax-checkpoint-tmp"))


def students(run):
    with contextlib.suppress(OSError, ValueError, KeyError):
        return len(json.loads((run / "scores.json").read_text())["scores"]["condensed"])
    return 0


def moments(generator):
    """Yields six moments of a run as conditions on its directory: while it learns, while it saves, and while it evaluates."""
    yield lambda run: run.exists()
    for at in sorted(generator.integers(1, ITERATIONS, 2)):
        yield lambda run, at=at: iterations(run) >= at
    for at in sorted(generator.integers(ITERATIONS // 2, ITERATIONS - 2, 1)):
        yield lambda run, at=at: iterations(run) >= at and saving(run)
    for at in (1, 4):
        yield lambda run, at=at: students(run) >= at


def wait_for(moment, process, run):
    """Waits until a moment has come, and tells whether the process still ran then."""
    while process.poll() is None:
        if moment(run):
            return True
        time.sleep(0.001)
    return False


def outcome(run):
    """Gives all that must not depend on what happened to a run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    result = json.loads((run / "result.json").read_text())
    return dc.load_condensed(run / "condensed.npz").compact["image"], logged, result["accuracy"], result["complete"]


def assert_same(run, uninterrupted):
    (image, *others), (expected, *wanted) = outcome(run), outcome(uninterrupted)
    np.testing.assert_array_equal(image, expected)
    assert others == wanted


@pytest.mark.parametrize("devices", [1, 2])
def test_six_kills_at_random_moments_change_nothing(devices, tmp_path):
    finish(tmp_path / "uninterrupted", devices)
    generator, run, kills = np.random.default_rng(devices), tmp_path / "run", 0
    for moment in moments(generator):
        process = start(run, devices)
        if wait_for(moment, process, run):
            time.sleep(generator.uniform(0, 0.02))
            process.kill()
            kills += 1
        _, error = process.communicate()
        assert error == "", "a run that goes on after a kill has nothing to complain of"
    finish(run, devices)
    assert_same(run, tmp_path / "uninterrupted")
    assert kills == 6


@pytest.fixture(name="disk")
def _disk(tmp_path):
    """A small disk of its own, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk):
    with contextlib.suppress(OSError), (disk / "other").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("devices", [1, 2])
def test_a_disk_that_is_full_twice_changes_nothing(devices, disk, tmp_path):
    finish(tmp_path / "uninterrupted", devices)
    run = disk / "run"
    for moment in (lambda run: iterations(run) >= 10, lambda run: students(run) >= 2):
        process = start(run, devices)
        assert wait_for(moment, process, run)
        fill(disk)
        _, error = process.communicate()
        assert len(error.splitlines()) == 1, error
        sentence = error.strip()
        assert process.returncode == 2
        assert "(No space left on device): make room" in sentence
        assert sentence.endswith(f"Continue with: python -m experiments.run --resume --workdir {run}")
        assert iterations(run) <= saved(run) + 2, "one was being saved, one was under way"
        (disk / "other").unlink()
    finish(run, devices)
    assert_same(run, tmp_path / "uninterrupted")
