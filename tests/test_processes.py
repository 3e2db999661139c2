"""Several processes do one run as one would, stop together, and a run goes on with another number of devices."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dcjax as dc

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
SMALL = ("--network", "mlp", "--num-students", "3", "--eval-epochs", "2", "--matches", "2", "--iterations", "12")
SLOWLY = ("--image-rate", "0.001")  # images move by 0.1; at DC's, rounding soon decides on which side of zero a ReLU is
ALONE = ("--no-baseline",)  # where accuracies do not matter
TOLERANCE = 1e-5  # absolute, on images of order 1


def start(run, *arguments, devices=1):
    command = [sys.executable, "-m", "experiments.run", *SMALL, *SLOWLY, "--workdir", str(run), *arguments]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=run.parent
    )


def start_two(run, *arguments, each=((), ())):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        where = f"localhost:{free.getsockname()[1]}"
    place = ("--coordinator", where, "--num-processes", "2", "--process-id")
    return [start(run, *arguments, *each[i], *place, str(i)) for i in range(2)]


def finish(*processes):
    """What they wrote, after they ended well; a process that waits for another one for ever is ended."""
    try:
        said = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, err) in zip(processes, said):
        assert process.returncode == 0, err
    return [out for out, _ in said]


def fail(*processes):
    """What they complained of, after all of them refused."""
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [2] * len(processes), said
    return said


def images(run):
    return dc.load_condensed(run / "condensed.npz").compact["image"]


def accuracies(run):
    return json.loads((run / "result.json").read_text())["accuracy"]


def wait_for(path, processes):
    while not path.exists() or not path.stat().st_size:
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        time.sleep(0.01)


@pytest.fixture(name="alone", scope="module")
def _alone(tmp_path_factory):
    """The run of one process with one device."""
    run = tmp_path_factory.mktemp("alone") / "run"
    finish(start(run))
    return run


def test_two_processes_give_the_images_of_one_and_the_first_writes(alone, tmp_path):
    run = tmp_path / "run"
    first, second = finish(*start_two(run, "--eval-at", "6"))
    np.testing.assert_allclose(images(run), images(alone), atol=TOLERANCE)
    assert accuracies(run) == accuracies(alone)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if "loss" in row] == list(range(1, 13))
    assert "random real images" in first
    assert "random real images" not in second


def test_a_signal_to_one_process_stops_both_and_fewer_devices_go_on(alone, tmp_path):
    run = tmp_path / "run"
    processes = start_two(run, *ALONE, "--iterations", "100000", "--checkpoint-every", "100000")
    wait_for(run / "metrics.jsonl", processes)
    processes[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2, said
    done = max(int(path.name) for path in (run / "checkpoints").iterdir())
    finish(*start_two(run, "--resume", *ALONE, "--iterations", str(done + 1)))
    finish(start(run, "--resume", *ALONE, "--iterations", str(done + 2)))
    straight = tmp_path / "straight"
    finish(start(straight, *ALONE, "--iterations", str(done + 2)))
    np.testing.assert_allclose(images(run), images(straight), atol=TOLERANCE)


def test_killed_and_resumed_on_another_number_of_devices_continues(tmp_path):
    """Cores divide the training, too, so its rounding depends on their number."""
    run, straight = tmp_path / "run", tmp_path / "straight"
    process = start(run, *ALONE, "--checkpoint-every", "1", devices=4)
    wait_for(run / "checkpoints" / "4", [process])
    process.kill()
    process.communicate()
    assert len((run / "metrics.jsonl").read_text().splitlines()) < 12
    finish(start(run, "--resume", *ALONE, devices=3), start(straight, *ALONE))
    np.testing.assert_allclose(images(run), images(straight), atol=TOLERANCE)


def test_processes_with_other_settings_are_refused(tmp_path):
    with_seed = [("--seed", "1"), ("--seed", "2")]
    said = fail(*start_two(tmp_path / "run", each=with_seed))
    assert all("The processes differ in their settings" in err for err in said)


def test_what_the_first_process_refuses_all_refuse(alone, tmp_path):
    said = fail(*start_two(alone))
    assert "is not empty" in said[0]
    assert "first process" in said[1]
