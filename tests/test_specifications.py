"""Networks that are named with settings of their own, and DSA's augmentation of some operators alone."""

import json

import jax
import numpy as np
import pytest

import dcjax as dc
from experiments.evaluate import Evaluation, evaluate
from experiments.experts import main as experts_main
from experiments.parts.choices import augmentation, strategic
from experiments.parts.networks import VGG11, AlexNet, ConvNet, ResNet10
from experiments.pipeline import recipes, rivals
from experiments.report import words
from experiments.run import main
from experiments.settings.flags import read
from experiments.settings.networks import specifications, specified
from experiments.settings.parse import command, parse


def test_a_specification_gives_a_network_its_settings():
    assert specified("convnet:depth=4,norm=batch") == ConvNet(depth=4, norm="batch")
    assert specified("convnet:activation=sigmoid,pooling=max,width=7", width=9) == ConvNet(
        7, None, "instance", "sigmoid", "max"
    )
    assert specified("convnet", width=9) == ConvNet(width=9)
    assert specified("resnet10:downsampling=avg_pool") == ResNet10(downsampling="avg_pool")
    assert specified("vgg11:norm=batch,width=9") == VGG11(9, "batch")
    assert specified("alexnet", width=9) == AlexNet()


@pytest.mark.parametrize(
    "text", ["convnet:depth=4,norm=none,mlp,convnet:width=8", "mlp,resnet18:norm=group,lenet", "mlp"]
)
def test_specifications_survive_the_commas_of_a_command_line(text):
    found = specifications(read(Evaluation, ["x", "--networks", text]).networks)
    assert ",".join(found) == text
    assert all(specified(each) for each in found)
    assert found == specifications(read(Evaluation, ["x", "--networks", *found]).networks)


def test_the_width_of_the_set_is_that_of_a_convnet_alone():
    data = dc.data.load("digits", image_size=16)
    widths = {
        text: jax.eval_shape(rivals.network(text, 6, data).init, jax.random.key(0))[layer]["kernel"].shape[-1]
        for text, layer in (("convnet", "conv0"), ("convnet:width=3", "conv0"), ("resnet10", "conv_stem"))
    }
    assert widths == {"convnet": 6, "convnet:width=3": 3, "resnet10": 64}


@pytest.mark.parametrize("text", ["convnet:norm=none,norm=batch", "convnet:depth=1,width=4,depth=2"])
def test_a_setting_is_given_once(text):
    with pytest.raises(dc.InputError, match="names a setting twice"):
        specified(text)


def test_a_colon_is_followed_by_settings():
    with pytest.raises(dc.InputError, match="names a setting ''"):
        specified("mlp:")


def test_a_set_is_evaluated_on_specified_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = dc.data.load("digits")
    chosen = [int(np.flatnonzero(data.train.label == k)[0]) for k in range(10)]
    np.savez("set.npz", images=np.asarray(data.train.image)[chosen], labels=np.arange(10))
    names = ["convnet:depth=1,width=2,norm=none", "mlp"]
    words = ["set.npz", "--dataset", "digits", "--networks", ",".join(names), "--rivals", "none", "--epochs", "1"]
    words += ["--recipes", "dc"]
    evaluate([*words, "--num-students", "1"])
    assert [row["network"] for row in json.loads((tmp_path / "set.npz-evaluation.json").read_text())["rows"]] == names
    capsys.readouterr()
    with pytest.raises(dc.InputError, match=r"^convnet:depth=4: 4 blocks pool 8x8 images to nothing: lower the depth"):
        evaluate([*words[:3], "--networks", "mlp,convnet:depth=4"])


def test_a_strategy_draws_from_its_operators_alone():
    name = strategic("dsa_digits", ("crop", "flip"))
    assert name == strategic("dsa", ("flip", "crop"))
    assert augmentation(name) is augmentation(name)
    assert strategic("dsa_digits", ()) == "dsa_digits"
    image = np.random.default_rng(0).normal(size=(4, 4, 1)).astype(np.float32)
    seen = {
        np.asarray(augmentation(strategic("dsa", ("flip",)))(jax.random.key(i))(image)).tobytes() for i in range(20)
    }
    assert seen == {image.tobytes(), image[:, ::-1].tobytes()}


def test_strategies_are_settings_of_a_run():
    words = [
        "--method",
        "dsa",
        "--ipc",
        "10",
        "--dsa-strategy",
        "color,crop",
        "--eval-dsa-strategy",
        "flip",
        "--workdir",
        "run",
    ]
    settings = parse(words)
    assert settings.parts["objective"].augmentation == "dsa:color+crop"
    assert settings.parts["trajectory"].how("dsa:color+crop")["augment"] is augmentation("dsa:color+crop")
    assert settings.parts["eval_recipe"].build().augment is augmentation("dsa:flip")
    assert parse([*command(settings).split()[3:], "--workdir", "run"]) == settings
    own = parse([*words, "--network-augment", "dsa", "--network-dsa-strategy", "scale"])
    assert own.parts["trajectory"].how("none")["augment"] is augmentation("dsa:scale")
    meta = {"recipe": json.loads(json.dumps({"schedule": "dc", "settings": vars(settings.parts["eval_recipe"])}))}
    assert recipes.recipe("own", meta, "digits", None)[1] == settings.parts["eval_recipe"].build()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--method dc --dsa-strategy color", "--dsa-strategy changes nothing with --augment none: leave it out."),
        ("--method dsa --dsa-strategy colr", "--dsa-strategy must be one of color, crop, cutout, flip, scale, rotate"),
        ("--eval-dsa-strategy flip", "--eval-dsa-strategy changes nothing with --eval-augment none: leave it out."),
        (
            "--method dsa --ipc 10 --network-dsa-strategy flip",
            "--network-dsa-strategy changes nothing with --network-aug",
        ),
        ("--method mtt --augment none --dsa-strategy flip", "--dsa-strategy changes nothing with --augment none"),
        ("--method dd --dsa-strategy flip", "--dsa-strategy changes nothing with --augment none"),
    ],
)
def test_a_strategy_without_effect_is_refused(words, message, capsys):
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err


def test_a_strategy_of_experts_without_effect_is_refused(capsys):
    assert experts_main(["--augment", "none", "--dsa-strategy", "flip"]) == 2
    assert "--dsa-strategy changes nothing with --augment none: leave it out." in capsys.readouterr().err


def test_a_narrow_network_is_named_with_its_width():
    named = {
        words.condensing_network(config)
        for config in (
            {"network": "convnet", "width": 32},
            {"network": "vgg11", "width": 64},
            {"network": "vgg11", "width": 16},
            {"network": "resnet18"},
            {"network": "mlp"},
            {"network": "resnet18", "width": 64, "norm": "batch", "downsampling": "avg_pool"},
        )
    }
    assert named == {
        "ConvNet-32",
        "VGG-11",
        "VGG-11, width 16",
        "ResNet-18",
        "MLP",
        "ResNet-18, norm batch, downsampling avg pool",
    }


@pytest.mark.parametrize("make", [dc.networks.VGG11, dc.networks.ResNet18])
def test_every_convolution_of_a_narrow_network_is_narrow(make):
    params = jax.eval_shape(dc.network(make(10, 3), (32, 32, 3)).init, jax.random.key(0))
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(params) if leaf.ndim == 4} == {3, 6, 12, 24}
