"""What cannot be typed: every wrong word is named by its flag, in one sentence, before anything is computed."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import dcjax as dc
from dcjax import backend
from experiments import architectures, compare, evaluate, experts, export, run
from experiments.pipeline import memory
from experiments.pipeline.job import load_data, prepare
from experiments.pipeline.machine import check_precision
from experiments.settings.parse import default_workdir, parse

COMMANDS = (run, evaluate, architectures, compare, export, experts)
MAIN = {command.__name__.rpartition(".")[2]: command.main for command in COMMANDS}
WRONG = [  # (command line, what is said)
    ("run --num-students 100000000000000000000", "--num-students must be at most 1000000, not 1"),
    ("run --matches 1000000000000000000000", "--matches must be at most 1000000, not 1"),
    ("run --width 999999999", "--width must be at most 65536, not 999999999"),
    ("run --depth 1000000", "--depth must be at most 65536, not 1000000"),
    ("run --image-size 100000", "--image-size must be at most 4096, not 100000"),
    ("run --image-size 2", "--image-size must be at least 4, not 2"),
    ("run --image-size 4096", "images of 4096x4096x1 take"),
    ("run --method idc --factor 1000000000", "--factor must be at most 65536, not 1000000000"),
    (f"run --iterations {10**30}", "--iterations must be at most 1000000000, not 1"),
    (f"run --iterations {'9' * 5000}", "--iterations must be a whole number, not '9999"),
    (f"run --matches 2 --network-batch {10**18}", "--network-batch must be at most 1000000000"),
    (f"run --real-batch {10**18}", "--real-batch must be at most 1000000000"),
    (f"run --checkpoint-every {10**18}", "--checkpoint-every must be at most 1000000000"),
    (f"run --pool 2 --pool-epochs {10**18}", "--pool-epochs must be at most 1000000000"),
    (f"run --eval-epochs {10**18}", "--eval-epochs must be from 0 to below 1000000000"),
    (f"run --ipc {10**30}", "--ipc must be at most 1000000000"),
    (f"run --devices {10**30}", "--devices is all or a number from 1 to 1000000000"),
    (
        "run --image-rate 1e300",
        "--image-rate must be from 1e-38 to 1e38, as numbers of single precision are, not 1e+300",
    ),
    ("run --image-rate 1e-300", "--image-rate must be from 1e-38 to 1e38"),
    ("run --image-rate nan", "--image-rate must be a positive number, not nan"),
    ("run --zca --zca-epsilon 1e300", "--zca-epsilon must be from 1e-38 to 1e38"),
    ("run --width 65536", "GiB are needed, 144 of them for the network, but there are"),
    ("evaluate x --num-students 100000000000000000000", "--num-students must be at most 1000000"),
    ("evaluate x --width 0", "--width must be at least 1, not 0"),
    ("evaluate x --seed -1", "--seed must be from 0 to below 4294967296, not -1"),
    ("export x --format npz --num-students 0", "--num-students must be at least 1, not 0"),
    ("compare --ipc 0,1", "--ipc must be at least 1, not 0"),
    ("compare --seeds 0,-1", "--seeds must be from 0 to below 4294967296, not -1"),
    ("run --method whole --ipc 5", "--ipc changes nothing with --method whole, which takes all images: leave it out"),
    ("run --data-dir here", "--data-dir changes nothing with --dataset digits: leave it out"),
    ("run --dataset npz:x.npz --data-dir here", "--data-dir changes nothing with --dataset npz:x.npz: leave it out"),
    ("run --precision bfloat16", "--precision bfloat16 changes nothing on a CPU, which computes in float32"),
    ("run --ipc x", "--ipc must be a whole number, not 'x'."),
    ("run --ipc 1.5", "--ipc must be a whole number, not '1.5'."),
    ("run --ipc", "--ipc needs a whole number, but none follows it: give one."),
    ("run --ipc 1 2", "--ipc takes one value, but '2' follows it too: leave one of them out."),
    ("run --width=", "--width must be a whole number, not ''."),
    ("run --eval-at 1 a", "--eval-at must be a whole number, not 'a'."),
    ("run --image-rate fast", "--image-rate must be a number, not 'fast'."),
    (
        "run --norm instanc",
        "--norm must be one of instance, group, layer, batch, none, not 'instanc'. Did you mean instance?",
    ),
    ("run --resume yes", "--resume takes no value, but 'yes' follows it: leave that out."),
    ("run --zca maybe", "--zca takes no value, but 'maybe' follows it: leave that out."),
    ("run mnist", "'mnist' belongs to no flag: all flags are listed by --help."),
    (
        "compare -- width 32",
        "'width' behind -- belongs to no flag: what goes to every run are flags of experiments.run.",
    ),
    ("compare -- -width 32", "'-width' behind -- belongs to no flag"),
    ("compare --methods dm,dc,dm", "--methods names one twice: give each once."),
    ("compare --ipc 1,1", "--ipc names one twice: give each once."),
    ("run --dataset=", "The dataset has no name: choose digits, mnist"),
    ("evaluate x --networks convnt", "There is no network 'convnt': choose convnet, mlp, "),
    ("evaluate x --networks mlp,convnet:dept=3,norm=none", "names a setting 'dept', but it has width, depth, norm, "),
    ("evaluate x --networks convnet:depth=two", "The network 'convnet:depth=two' needs a number for depth, not 'two'."),
    ("evaluate x --networks convnet:depth=3,norm=bach", "cannot be: norm must be one of instance, group, layer, batch"),
    ("evaluate x --networks mlp:width=3", "The network 'mlp:width=3' names a setting 'width', but it has none."),
    ("architectures", "There is no condensed set to search with: give run directories or files."),
    (
        "architectures nowhere",
        "There is no file nowhere, and no set of this name comes with dcjax: give a run directory",
    ),
    ("architectures x --norms bach", "--norms must be one of instance, group, layer, batch, none, not 'bach'."),
    ("architectures x --depths 0", "--depths must be at least 1, not 0."),
    ("architectures x --hold-out 1", "--hold-out must be above 0 and below 1, not 1.0."),
    ("architectures x --proxies dc", "--proxies must be one of random, herding, k_center"),
    ("evaluate x --out y.json", "There is no flag --out: the directory that a command writes to is named by --workdir"),
    ("export x --format npz --out y", "There is no flag --out: the directory that a command writes to is named by"),
    ("run --out runs/x", "There is no flag --out: the directory that a command writes to is named by --workdir"),
    ("experts --place x", "There is no flag --place: the directory that a command writes to is named by --workdir"),
    ("evaluate x --seed one", "--seed must be a whole number, not 'one'."),
    ("export x --format tiff", "--format must be one of npz, png, pt, poster, not 'tiff'."),
    ("compare --seeds 1,x", "--seeds must be a whole number, not 'x'."),
    (f"run --workdir {'a' * 300}", "cannot be a run directory (File name too long): give another --workdir."),
    ("run --workdir=", "The --workdir has no name: give one."),
    (
        "compare --methods random,idc --ipc 1 --seeds 0 -- --network mlp",
        "The runs of idc, 1 image(s) per class cannot be made: --distance convolution_",
    ),
    (
        "compare --methods random,dc --ipc 1,500 --seeds 0",
        "The runs of random, 500 image(s) per class cannot be made: --ipc 500 asks for more images than there are",
    ),
]


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("line", "said"), [pytest.param(*case, id=case[0][:60]) for case in WRONG])
def test_a_wrong_word_is_one_sentence(line, said, capsys, tmp_path):
    command, *words = line.split(" ")
    assert MAIN[command](words) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert said in error
    assert len(error) < 700
    assert not [*tmp_path.iterdir()], "nothing is begun"


def test_a_run_directory_is_never_named_by_what_no_file_system_takes():
    assert default_workdir("dc", "digits", 1, resume=False) == "runs/dc-digits-1"
    assert default_workdir("dc", "folder:a/b [2]", 1, resume=False) == "runs/dc-folder-b [2]-1"
    assert default_workdir("dc", f"npz:{'a' * 300}.npz", 1, resume=False) == f"runs/dc-npz-{'a' * 76}-1"
    assert default_workdir("dc", "cifar10/x:1.0\0\n*", 1, resume=False) == "runs/dc-cifar10-x-1-1"


def test_a_run_directory_is_the_first_free_one_and_the_last_taken_one_is_resumed(tmp_path):
    for taken in ("dc-digits-1", "dc-digits-1-2", "dc-digits-1-4"):
        (tmp_path / "runs" / taken).mkdir(parents=True)
    assert default_workdir("dc", "digits", 1, resume=False) == "runs/dc-digits-1-3"
    assert default_workdir("dc", "digits", 1, resume=True) == "runs/dc-digits-1-2"
    assert default_workdir("dm", "digits", 1, resume=True) == "runs/dm-digits-1"


def test_an_older_run_of_the_whole_data_goes_on_whatever_its_ipc(tmp_path):
    parse(["--method", "whole"]).replace(ipc=5)


def test_a_precision_that_a_device_has_is_taken(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check_precision("bfloat16")


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_computed(monkeypatch):
    settings = parse(["--ipc", "10"])
    data = load_data(settings)
    prepare(settings, data)
    monkeypatch.setattr(memory, "memory", lambda: 2**16)
    with pytest.raises(
        dc.InputError, match=r"At least 0\.\d+ GiB are needed, .* of them for the network, but there are"
    ):
        prepare(settings, data)


def test_memory_is_that_of_all_devices(monkeypatch):
    monkeypatch.setattr(backend, "device_memory", lambda: 1000)
    assert memory.memory() == 1000
    monkeypatch.setattr(backend, "device_memory", lambda: None)
    assert memory.memory() > 2**28


@pytest.mark.slow
@pytest.mark.parametrize("words", [("experiments.run", "--help"), ("experiments", "--help")])
def test_output_that_nobody_reads_is_no_error(words):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
