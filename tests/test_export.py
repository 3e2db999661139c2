"""What is exported is the set that was made: read back, in PyTorch, and in what it is worth."""

import dataclasses
import json
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
from dcjax import foreign
from experiments.export import main
from experiments.settings.saved import dump
from experiments.settings.settings import defaults

SETTINGS = defaults("dc", "digits", 1, network="mlp").replace(eval_epochs=30)


@pytest.fixture(name="data", scope="module")
def _data():
    return dc.data.load("digits")


def make_run(path, data, batch, settings=SETTINGS):
    """A run directory as far as an export looks at it."""
    meta = {"method": "dc", "dataset": "digits", "recipe": {"training": "SGD"}}
    dc.save_condensed(path / "condensed.npz", batch, dc.Learned({"image": batch.image}, ()), data, meta)
    (path / "config.json").write_text(json.dumps(dump(settings)))
    return path


@pytest.fixture(name="run")
def _run(tmp_path, data):
    """Two real images of every digit, contrast doubled: a quarter of the values leaves [0, 1]."""
    batch = data.sample(jax.random.key(0), 2)
    return make_run(tmp_path / "run", data, batch._replace(image=2 * batch.image))


def export(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def test_plain_arrays_need_only_numpy_and_are_the_set(run, data):
    export(run, "--format", "npz")
    code = (
        "import numpy as np, sys\n"
        f"z = np.load({str(run / 'images.npz')!r})\n"
        "assert z['labels'].tolist() == [k for k in range(10) for _ in range(2)]\n"
        "assert z['class_names'].tolist() == list('0123456789') and 'soft_labels' not in z and 'dcjax' not in sys.modules\n"
        "print(z['images'].shape, z['images'].dtype, z['mean'].shape, z['std'].shape, z['about'])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("(20, 8, 8, 1) float32 (1,) (1,)")
    assert '"recipe": {"training": "SGD"}' in out
    own, plain = (foreign.read(path, data)[0].batch for path in (run, run / "images.npz"))
    chex.assert_trees_all_close(plain, own, atol=1e-5)


@pytest.mark.parametrize("format", ["npz", "pt"])
def test_soft_labels_go_along(format, tmp_path, data):
    if format == "pt":
        pytest.importorskip("torch")
    batch = data.sample(jax.random.key(0), 1)
    run = make_run(tmp_path / "run", data, batch._replace(label=0.9 * batch.label + 0.01))
    export(run, "--format", format, "--workdir", tmp_path / "exported")
    (condensed,) = foreign.read(tmp_path / "exported" / f"images.{format}", data)
    chex.assert_trees_all_close(condensed.batch, foreign.read(run, data)[0].batch, atol=1e-5)


def test_pictures_note_the_soft_labels_that_their_folders_lose(tmp_path, data, capsys):
    batch = data.sample(jax.random.key(0), 1)
    label = np.asarray(0.9 * batch.label + 0.01)[::-1].copy()  # the first image is most of all a nine
    run = make_run(tmp_path / "run", data, batch._replace(label=label))
    export(run, "--format", "png", "--num-students", "1")
    note = json.loads((run / "images" / "export.json").read_text())
    np.testing.assert_allclose(note["soft_labels"], label[::-1, 0], atol=1e-6)  # folder by folder
    assert "as PNG (8 bits, hard labels)" in capsys.readouterr().out


def test_pytorch_reads_the_set_in_the_published_layout(run, data):
    torch = pytest.importorskip("torch")
    export(run / "condensed.npz", "--format", "pt")
    content = torch.load(run / "images.pt")
    image, label = content["data"][-1]
    assert (image.dtype, image.shape) == (torch.float32, (20, 1, 8, 8))
    assert (label.dtype, label.tolist()) == (torch.int64, [k for k in range(10) for _ in range(2)])
    mean, std = (torch.tensor(content[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    pixels = (image * std + mean).movedim(1, -1).numpy()
    np.testing.assert_allclose(pixels, np.load(run / "condensed.npz")["images"], atol=1e-6)
    assert (content["class_names"], content["about"]["recipe"]) == (list("0123456789"), {"training": "SGD"})
    own, read = (foreign.read(path, data)[0].batch for path in (run, run / "images.pt"))
    chex.assert_trees_all_close(read, own, atol=1e-6)


@pytest.fixture(name="torch")
def _torch():
    """On one thread: test processes share the cores, and PyTorch's threads wait for each other by spinning."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def torch_student(torch):
    """One block for 8x8 images, and its weights in dcjax's layout."""
    nn = torch.nn
    torch.manual_seed(0)
    conv, norm, dense = nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(8, 8), nn.Linear(8 * 4 * 4, 10)
    net = nn.Sequential(conv, norm, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), dense)
    params = {
        "conv0": {"kernel": conv.weight.permute(2, 3, 1, 0), "bias": conv.bias},
        "norm0": {"scale": norm.weight, "bias": norm.bias},
        "dense": {"kernel": dense.weight.reshape(10, 8, 16).permute(2, 1, 0).reshape(128, 10), "bias": dense.bias},
    }
    return net, jax.tree.map(lambda x: x.detach().clone().numpy(), params)


def test_a_student_in_pytorch_learns_from_the_exported_set_what_one_in_dcjax_learns(tmp_path, data, torch):
    run = make_run(tmp_path / "run", data, data.sample(jax.random.key(1), 3))
    export(run, "--format", "pt")
    ((image, label),) = torch.load(run / "images.pt")["data"]
    net, params = torch_student(torch)
    for rate, epochs in ((0.1, 22), (0.01, 19)):
        optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
        for _ in range(epochs):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(image), label).backward()
            optimizer.step()
    test = torch.tensor(np.moveaxis(np.asarray(data.test.normalise(data.test.image)), -1, 1))
    accuracy = float((net(test).argmax(1).numpy() == data.test.label).mean())
    same = dc.network(dc.networks.ConvNet(10, width=8, depth=1), data.image_shape)._replace(init=lambda key: params)
    batch = foreign.read(run, data)[0].batch
    recipe = dc.dc_recipe(40, learning_rate=0.1)
    (ours,) = dc.evaluate(jax.random.key(0), same, batch, data.test, recipe=recipe, num_students=1)
    assert accuracy > 0.6
    assert abs(accuracy - ours) < 0.01


def test_pictures_are_the_set_clipped_and_rounded(run, data, tmp_path):
    export(run, "--format", "png", "--workdir", tmp_path, "--no-evaluate")
    (condensed,) = foreign.read(tmp_path / "images", data)
    pixels = np.load(run / "condensed.npz")["images"].reshape(10, 2, 8, 8, 1)
    np.testing.assert_allclose(condensed.pixels, np.round(pixels.clip(0, 1) * 255) / 255, atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "images" / "7").iterdir()) == ["0000.png", "0001.png"]
    note = json.loads((tmp_path / "images" / "export.json").read_text())
    assert note["clipped"] == round(float(((pixels < 0) | (pixels > 1)).mean()), 4) > 0.05
    np.testing.assert_allclose(note["mean"], data.mean, rtol=1e-6)
    assert (note["folders"]["7"], "accuracy" in note) == ("7", False)


def test_class_names_that_are_no_file_names_come_back(tmp_path):
    data = dataclasses.replace(small_data(channels=3), class_names=("a/b", "..", "10"))
    run = make_run(tmp_path / "run", data, data.sample(jax.random.key(0), 1))
    export(run, "--format", "png", "--no-evaluate")
    assert json.loads((run / "images" / "export.json").read_text())["folders"] == {"a_b": "a/b", "_": "..", "10": "10"}
    (condensed,) = foreign.read(run / "images", data)
    assert condensed.class_names == data.class_names
    np.testing.assert_allclose(condensed.pixels, foreign.read(run, data)[0].pixels, atol=1 / 500)


def test_rounding_costs_nothing_where_values_are_bytes_and_something_where_they_are_clipped(
    run, data, tmp_path, capsys
):
    exact = make_run(tmp_path / "exact", data, data.sample(jax.random.key(0), 2))
    accuracy = {}
    for path in (exact, run):
        export(path, "--format", "png", "--num-students", "2")
        accuracy[path] = json.loads((path / "images" / "export.json").read_text())["accuracy"]
    assert accuracy[exact]["png"] == accuracy[exact]["exact"]
    assert accuracy[run]["png"]["values"] != accuracy[run]["exact"]["values"]
    assert accuracy[run]["exact"]["students"] == 2
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if "as it is" in line or "as PNG (8 bits)" in line]
    assert f"{accuracy[run]['png']['mean']:.1f} ± {accuracy[run]['png']['std']:.1f}" in rows[3]


NETWORK = {"network": "mlp"}


def judged(path, data, seed, values, network=NETWORK, **about):
    """A run whose students have these accuracies in percent."""
    meta = {"method": "dc", "dataset": "digits", "ipc": 1, "seed": seed, "recipe": {"network": network}}
    meta |= {"accuracy": {"condensed": {"values": values}}} | about
    batch = data.sample(jax.random.key(seed), 1)
    dc.save_condensed(path / "condensed.npz", batch, dc.Learned({"image": batch.image}, ()), data, meta)
    return path


def test_runs_of_several_seeds_become_one_file_as_published(tmp_path, data, torch):
    runs = [judged(tmp_path / str(seed), data, seed, [50.0 + seed, 75.0]) for seed in range(3)]
    out = tmp_path / "images.pt"
    export(*runs, "--format", "pt", "--workdir", tmp_path)
    content = torch.load(out)
    assert content["accs_all_exps"] == {"MLP": pytest.approx([0.5, 0.75, 0.51, 0.75, 0.52, 0.75])}
    assert [tuple(x.shape) for x in content["data"][-1]] == [(10, 1, 8, 8), (10,)]  # as published programs take it
    for run, read in zip(runs, foreign.read(out, data), strict=True):
        (own,) = foreign.read(run, data)
        chex.assert_trees_all_close(read.batch, own.batch, atol=1e-6)
        assert (read.meta["seed"], read.meta["method"]) == (own.meta["seed"], "dc")
        assert read.meta["accuracies"] == {"MLP": pytest.approx([0.5 + own.meta["seed"] / 100, 0.75])}


def test_sets_whose_file_names_no_labels_go_with_those_that_name_the_usual_ones(tmp_path, data, torch):
    older = judged(tmp_path / "a", data, 0, [], decoder={"name": "pixels", "arguments": {"ipc": 1}})
    newer = {"name": "pixels", "arguments": {"ipc": 1}, "image_space": "normalised", "labels": "hard"}
    export(older, judged(tmp_path / "b", data, 1, [], decoder=newer), "--format", "pt", "--workdir", tmp_path)
    assert len(foreign.read(tmp_path / "images.pt", data)) == 2


def test_a_comparison_of_seeds_becomes_one_file(tmp_path, data, torch):
    for seed in (0, 10, 2):
        judged(tmp_path / "compared" / f"dc-1-{seed}", data, seed, [50.0])
    (tmp_path / "compared" / "comparison.json").write_text("{}")
    export(tmp_path / "compared", "--format", "pt", "--workdir", tmp_path)
    assert [read.meta["seed"] for read in foreign.read(tmp_path / "images.pt", data)] == [0, 2, 10]


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ({"network": "convnet", "width": 128, "depth": None, "norm": "instance"}, "ConvNet"),
        ({"network": "convnet", "width": 32, "norm": "none"}, "convnet:width=32,norm=none"),
        ({"network": "vgg11"}, "VGG11"),
    ],
)
def test_networks_are_named_as_published_if_they_are_the_published_ones(network, name, tmp_path, data, torch):
    export(judged(tmp_path / "run", data, 0, [50.0], network), "--format", "pt")
    assert torch.load(tmp_path / "run" / "images.pt")["accs_all_exps"] == {name: [0.5]}


@pytest.mark.parametrize(
    "other", [{"values": [50.0]}, {"values": [50.0, 75.0], "network": {"network": "lenet"}}, {"values": []}]
)
def test_accuracies_that_a_reader_could_not_tell_apart_are_left_out(other, tmp_path, data, torch):
    runs = [judged(tmp_path / "a", data, 0, [50.0, 75.0]), judged(tmp_path / "b", data, 1, **other)]
    export(*runs, "--format", "pt", "--workdir", tmp_path)
    assert torch.load(tmp_path / "images.pt")["accs_all_exps"] == {}


def without(path, name):
    (path / name).unlink()
    return path


def another(path):
    return judged(path / "other", dc.data.load("digits"), 0, [], method="dm")


def of_digits(path, parameterization):
    return judged(path, dc.data.load("digits"), 0, [], decoder={"name": parameterization})


def taken(path, name):
    (path / name).write_text("of somebody else")
    return path


def damaged(path):
    (path / "condensed.npz").write_bytes(b"PK")
    return path


BAD = {
    "no format": (lambda run: [run], "--format"),
    "format": (lambda run: [run, "--format", "gif"], "'gif'"),
    "flag": (lambda run: [run, "--fromat", "npz"], "There is no flag --fromat: did you mean --format?"),
    "nothing": (lambda run: [run / "none", "--format", "npz"], "There is no file"),
    "unfinished": (lambda run: [without(run, "condensed.npz"), "--format", "npz"], "There is no file"),
    "damaged": (lambda run: [damaged(run), "--format", "npz"], "is damaged or no .npz file"),
    "taken": (
        lambda run: [taken(run, "images.npz"), "--format", "npz", "--workdir", run],
        "is there already: give another",
    ),
    "folder taken": (lambda run: [taken(run, "images"), "--format", "png"], "is there already: give another"),
    "no room": (lambda run: [run, "--format", "npz", "--workdir", "/proc/x"], "/proc/x/images.npz cannot be written"),
    "earlier name": (lambda run: [run, "--format", "npz", "--out", run / "x"], "There is no flag --out: the directory"),
    "no settings": (lambda run: [without(run, "config.json"), "--format", "png"], "give --no-evaluate"),
    "no run": (lambda run: ["--format", "npz"], "There is nothing to export: give a run directory"),
    "several": (lambda run: [run, run, "--format", "npz"], "--format npz writes one set, but there are 2: give one"),
    "several without a place": (
        lambda run: [run, run, "--format", "pt"],
        "2 sets go into one file: give the folder for it by",
    ),
    "other methods": (
        lambda run: [run, another(run), "--format", "pt", "--workdir", run],
        "is of another method than",
    ),
    "other parameterizations": (
        lambda run: [
            of_digits(run / "one", "pixels"),
            of_digits(run / "other", "multi_formation"),
            "--format",
            "pt",
            "--workdir",
            run,
        ],
        "is of another parameterization than",
    ),
    "students": (
        lambda run: [run, "--format", "png", "--num-students", "0"],
        "--num-students must be at least 1, not 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_writes_nothing(case, run, capsys):
    make, message = BAD[case]
    arguments = [str(argument) for argument in make(run)]
    before = sorted(run.rglob("*"))
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(run.rglob("*")) == before


def test_without_pytorch_one_is_told_to_install_it(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main([str(run), "--format", "pt"]) == 2
    assert "pip install torch" in capsys.readouterr().err
    assert not (run / "images.pt").exists()


def test_pictures_cut_short_leave_nothing(run, monkeypatch):
    def fail(image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dcjax.foreign._write._picture", fail)
    assert main([str(run), "--format", "png", "--no-evaluate"]) == 2
    assert {path.name for path in run.iterdir()} == {"condensed.npz", "config.json"}


def test_a_set_without_its_run_is_judged_as_it_notes(tmp_path, data):
    """As the sets that come with dcjax are: they have no settings beside them."""
    exported = tmp_path / "out"
    export("dc-digits-1", "--format", "png", "--workdir", exported, "--num-students", "1")
    (note,) = exported.glob("*/export.json")
    accuracy = json.loads(note.read_text())["accuracy"]
    stated = dc.load_condensed("dc-digits-1").meta["accuracy"]["condensed"]
    assert abs(accuracy["exact"]["mean"] - stated["mean"]) < 4 * stated["std"]
    assert accuracy["png"]["students"] == 1


def test_a_set_that_notes_no_network_is_not_judged(run, capsys):
    (run / "config.json").unlink()
    assert main([str(run), "--format", "png"]) != 0
    assert "the set does not note its network" in capsys.readouterr().err
