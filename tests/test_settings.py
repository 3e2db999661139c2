"""Settings: what a method has by itself, what the command line makes of them, and what is said of those that cannot be."""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from dcjax import InputError
from experiments import parts
from experiments.methods import METHODS
from experiments.methods.dc import loops
from experiments.parts import part as ownership
from experiments.parts.part import ObjectivePart, ParameterizationPart
from experiments.parts.values import flag
from experiments.run import main
from experiments.settings.flags import flag_types
from experiments.settings.parse import command, parse
from experiments.settings.saved import dump, load
from experiments.settings.settings import published

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


CONDENSING = "--method dc, dsa, dm, idc_i, idc, dd, dd_known, ld, bptt, rtp, mtt, tesla, haba: choose one of them, or leave it out with"
BAD = {
    "unknown flag": ("--iteratoins 3", "There is no flag --iteratoins: did you mean --iterations?"),
    "unknown method": ("--method dcc", "There is no method 'dcc': choose dc, dsa, dm, idc_i, idc, dd"),
    "near method": ("--method herdng", "whole. Did you mean herding?"),
    "unknown network": ("--network convnt", "There is no network 'convnt': choose convnet, mlp"),
    "unknown trajectory": ("--trajectory fresch", "choose fresh, on_synthetic, on_real, expert. Did you mean fresh?"),
    "unknown norm": ("--norm spectral", "'spectral'"),
    "not a number": ("--ipc many", "--ipc must be a whole number, not 'many'"),
    "not a number for tyro": ("--seed many", "--seed"),
    "settled for nothing": ("--settle-images 8", "--settle-images changes nothing with a network without batch norm"),
    "settled on nothing": ("--norm batch --settle-images 0", "--settle-images must be at least 1, not 0"),
    "no images": ("--ipc 0", "--ipc is the number of images per class and at least 1, not 0"),
    "more images than there are": ("--ipc 500", "--ipc 500 asks for more images than there are: class"),
    "more real images than there are": ("--ipc 500 --start real", "--ipc 500 asks for more images"),
    "a larger coreset than there is": ("--method herding --ipc 500", "--ipc 500 asks for more images"),
    "no iterations": ("--iterations 0", "--iterations must be at least 1, not 0"),
    "rate": ("--image-rate -1", "--image-rate must be a positive number, not -1.0"),
    "depth": ("--depth 6", "6 blocks pool 8x8 images to nothing: lower the depth"),
    "too small": ("--network vgg11", "8x8"),
    "seed": (f"--seed {2**70}", "--seed must be from 0 to below 4294967296"),
    "momentum": ("--image-momentum 1.5", "--image-momentum must be from 0 to below 1, not 1.5"),
    "evaluation": ("--eval-at 4000", "--eval-at names iteration 4000, but the run goes from 1 to 300"),
    "groups": ("--norm group --width 6", "6 channels do not divide into 4 groups"),
    "no room": ("--workdir /proc/run", "/proc/run cannot be written"),
    "nothing to resume": ("--resume --workdir none", "There is no run to resume in none"),
    "folder": ("--dataset folder:none", "There is no folder none"),
    "no path": ("--dataset folder:", "'folder:' names no path: write folder:PATH"),
    "path without its kind": (f"--dataset {ROOT}", f"is a path: write folder:{ROOT}"),
    "dataset": ("--dataset mnits", "There is no dataset 'mnits': choose digits, mnist"),
    "statistics of colours": (
        "--statistics cifar10",
        "digits has images of 1 channel(s), but is normalised by statistics of 3",
    ),
    "whitened by statistics": ("--zca --statistics mnist", "--statistics changes nothing with --zca: leave it out"),
    "pixels among normalised values": ("--start uniform", "--start uniform draws pixels: give --image-space pixel"),
    "whitened pixels": ("--zca --image-space pixel", "--image-space pixel keeps them as pixels: leave one of them out"),
    "idle epsilon": ("--zca-epsilon 1", "--zca-epsilon changes nothing with --no-zca: leave it out"),
    "of a method that condenses": ("--method random --image-rate 1", f"--image-rate belongs to {CONDENSING} random."),
    "of a method with rivals": ("--method whole --no-baseline", "--no-baseline belongs to --method dc, dsa"),
    "of a coreset": ("--coreset-epochs 3", "belongs to --method herding, k_center, forgetting, kmeans: choose"),
    "axis of a method that condenses": ("--method random --trajectory fresh", f"--trajectory belongs to {CONDENSING}"),
    "of another network": (
        "--network mlp --width 8",
        "--width belongs to --network convnet, vgg11, resnet18, resnet10: choose one of them, or leave it out with mlp.",
    ),
    "of other images": (
        "--factor 2",
        "--factor belongs to --parameterization multi_formation, multi_scale_formation, bounded_formation: choose one of them, "
        "or leave it out with pixels.",
    ),
    "of one other kind of images": (
        "--method idc --bound 4",
        "--bound belongs to --parameterization bounded_formation: choose one of them, or leave it out with multi_formation.",
    ),
    "of another objective": (
        "--method dm --distance cosine",
        "--distance belongs to --objective gradient_matching: choose one of them, or leave it out with distribution_matching.",
    ),
    "of another trajectory": (
        "--method idc --inner-epochs 2",
        "--inner-epochs belongs to --trajectory on_synthetic: choose one of them, or leave it out with on_real.",
    ),
    "one comparison trains no network": ("--inner-epochs 7", "--inner-epochs changes nothing with --matches 1"),
    "nowhere to train": ("--trajectory on_real", "--trajectory changes nothing with --matches 1"),
    "fresh networks do not train": (
        "--method dm --network-rate 0.1",
        "--network-rate changes nothing with --trajectory fresh",
    ),
    "no pool": ("--pool-epochs 3", "--pool-epochs changes nothing with --pool 0"),
    "no cells": ("--method idc --factor 0", "--factor must be at least 1, not 0"),
    "too few at a time": (
        "--method idc --factor 3 --syn-batch 8",
        "--syn-batch 8 is less than the 9 images that one is cut",
    ),
    "a part of the views": (
        "--method haba --experts there --syn-batch 10",
        "--syn-batch 10 draws single images, but --objective trajectory_matching trains on whole views",
    ),
    "cells that do not divide": (
        "--method dsa --parameterization multi_formation --factor 3",
        "--factor 3 does not divide images of 8 x 8",
    ),
    "cells of one pixel": ("--method idc --factor 8", "cannot be cut into 8 cells"),
    "no convolutions": ("--method idc --network mlp", "the network has none"),
    "too few to start from": (
        "--method idc --ipc 50",
        "starts from 200 real images of every class, but the smallest has 139",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_flags_get_one_sentence_before_anything_is_written(case, capsys, tmp_path):
    words, message = BAD[case]
    assert main(words.split()) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_every_network_is_warmed_up_so_that_one_is_enough():
    assert parse(["--method", "idc", "--warm-up-epochs", "5", "--iterations", "1"]).warm_up_epochs == 5


@pytest.mark.parametrize(
    ("ipc", "expected"), [(1, (1, 1)), (10, (10, 50)), (20, (20, 25)), (50, (50, 10)), (5, (5, 23)), (100, (50, 10))]
)
def test_loops_are_published_ones_and_in_between_a_rule(ipc, expected):
    assert loops(ipc) == expected


def test_the_preset_is_the_papers_and_flags_override_it():
    settings = parse(["--dataset", "mnist", "--ipc", "10", "--seed", "3"])
    assert (settings.matches, settings.inner_epochs, settings.iterations, settings.width) == (10, 50, 1000, 128)
    assert (settings.eval_epochs, settings.eval_augment, settings.real_batch) == (1000, "dc_digits", 256)
    assert (settings.image_rate, settings.image_momentum, settings.network_rate) == (0.1, 0.5, 0.01)
    assert settings.seed == 3
    paper = {"condensed": (97.4, 0.2), "random": (95.1, 0.9), "whole": (99.6, 0.0)}
    assert published(settings) == paper
    assert published(parse(["--dataset", "mnist", "--ipc", "7"])) == {}
    assert published(settings.replace(width=64)) == {}


def test_papers_numbers_go_with_the_papers_settings():
    assert published(parse(["--method", "dsa", "--dataset", "cifar10", "--ipc", "10"])) == {"condensed": (52.1, 0.5)}
    assert published(parse(["--method", "dm", "--dataset", "cifar10", "--ipc", "50"]))["condensed"] == (63.0, 0.4)
    cell = published(parse(["--method", "herding", "--dataset", "mnist", "--ipc", "10", "--coreset-epochs", "3"]))
    assert cell["condensed"] == (93.7, 0.3)
    assert cell["random"] == (95.1, 0.9)
    assert published(parse(["--method", "dm", "--dataset", "cifar10", "--network", "vgg11"])) == {}
    assert published(parse(["--method", "idc", "--dataset", "mnist"])) == {"condensed": (94.2, None)}
    assert published(parse(["--method", "idc", "--dataset", "mnist", "--factor", "3"])) == {}
    assert published(parse(["--method", "dc", "--dataset", "mnist", "--zca"])) == {}


def test_help_says_whose_defaults_it_shows(capsys):
    with pytest.raises(SystemExit):
        parse(["--method", "dsa", "--dataset", "mnist", "--ipc", "10", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "Defaults follow method and data set: give yours beside --help. Here: --method dsa --dataset mnist --ipc 10."
        in text
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_presets_and_gives_back_its_command(method):
    for dataset in ("mnist", "fashion_mnist", "svhn_cropped", "cifar10", "cifar100", "digits"):
        size = [] if METHODS[method].takes_all else ["--ipc", "10"]
        settings = parse(["--method", method, "--dataset", dataset, *size, "--workdir", "run"])
        words = command(settings).split()[3:]
        assert parse([*words, "--workdir", "run"]) == settings
        augment = settings.values().get("eval_augment", "none")
        if dataset in ("mnist", "digits"):
            assert augment != "dsa", "a mirrored digit is another sign"


@pytest.mark.parametrize(
    ("dataset", "ipc", "method", "expected"),
    [
        ("cifar10", 10, "idc", ("convolution_squared_error", 5e-3, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("cifar10", 1, "idc_i", ("convolution_squared_error", 5e-4, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("cifar100", 1, "idc", ("convolution_squared_error", 5e-4, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("fashion_mnist", 10, "idc", ("convolution_absolute_error", 1e-4 * (28 / 32) ** 2, 8, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("mnist", 50, "idc", ("convolution_absolute_error", 5e-4, 8, "color_crop", "none", "idc_digits", "none")),
        ("mnist", 10, "idc_i", ("convolution_absolute_error", 1e-4, 8, "color_crop_cutout", "cutmix", "idc_digits", "cutmix")),
        ("svhn_cropped", 1, "idc_i", ("convolution_squared_error", 5e-4, 8, "color_crop_cutout", "cutmix", "idc_digits_cutout", "none")),
        ("svhn_cropped", 1, "idc", ("convolution_squared_error", 5e-4, 8, "color_crop_cutout", "cutmix", "idc_digits", "cutmix")),
    ],
)  # fmt: skip
def test_idc_has_the_published_settings(dataset, ipc, method, expected):
    settings = parse(["--method", method, "--dataset", dataset, "--ipc", str(ipc)])
    names = ("distance", "image_rate", "network_steps", "augment", "network_mix", "eval_augment", "eval_mix")
    found = tuple(getattr(settings, name) for name in names)
    assert found[1] == pytest.approx(expected[1])
    assert found[:1] + found[2:] == expected[:1] + expected[2:]
    assert (settings.parameterization, settings.trajectory) == (
        "pixels" if method == "idc_i" else "multi_formation",
        "on_real",
    )
    assert (settings.iterations, settings.matches, settings.real_batch, settings.network_batch) == (2000, 100, 64, 64)


@pytest.mark.parametrize("method", METHODS)
def test_a_config_of_an_earlier_version_is_still_that_of_its_method(method):
    settings = parse(["--method", method, "--dataset", "mnist"])
    later = {"objective", "trajectory", "parameterization", "eval_recipe", "pool", "network_augment", "zca"}
    fields = {name: value for name, value in dump(settings).items() if name not in later}
    Path("config.json").write_text(json.dumps(fields))
    assert load(Path("config.json")) == settings


def help_of(capsys, *words):
    """The tables of `--help`, and the lists below them."""
    with pytest.raises(SystemExit) as end:
        parse([*words, "--help"])
    assert not end.value.code
    tables, lists = capsys.readouterr().out.split("methods:\n")
    return tables, *lists.split("flags of parts that are not chosen:\n")


@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_shows_the_common_settings_then_the_chosen_parts_then_what_else_there_is(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    tables, methods, others = help_of(capsys, "--method", "idc", "--network", "mlp")
    titles = re.findall(r"^\W*([\w-]+) options\W*$", tables, re.MULTILINE)
    chosen = (
        "parameterization-multi-formation",
        "objective-gradient-matching",
        "trajectory-on-real",
        "eval-recipe-idc",
    )
    assert titles == ["run", "loop", "images", "evaluation", "rivals", "launch", "parts", *chosen]  # an MLP has none
    assert max(map(len, tables.splitlines())) <= 120, "wider, the tables would stand beside each other"
    assert re.findall(r"^  (\w+): .*\.$", methods, re.MULTILINE) == [*METHODS]
    assert [line.strip() for line in others.splitlines()] == [
        "--network convnet: --width --depth --norm --activation --pooling",
        "--network vgg11: --width --norm",
        "--network resnet18: --width --norm --downsampling",
        "--network resnet10: --width --norm --downsampling",
        "--parameterization bounded_formation: --bound",
        "--parameterization addressable_memory: --bases --recalls --downsample --address-decay",
        "--parameterization grown_memory: --bases --recalls --downsample --address-decay --grows",
        "--parameterization hallucinated: --hallucinators --base-images --base-channels --kernel-size --diversity",
        "--objective unrolled: --unroll-steps --unroll-batch --unroll-order --unroll-window --unroll-window-place --unroll-rate "
        "--unroll-momentum --learned-rate --rate-rate",
        "--objective trajectory_matching: --unroll-steps --student-batch --unroll-rate --learned-rate --rate-rate",
        "--objective tesla: --unroll-steps --student-batch --unroll-rate --learned-rate --rate-rate",
        "--trajectory on_synthetic: --inner-epochs",
        "--trajectory expert: --experts --max-start --span",
        "--eval-recipe constant: --eval-rate --eval-batch --eval-momentum",
        "--eval-recipe learned: --eval-rate",
        "--eval-recipe replay: --eval-passes --eval-per-class --eval-rate --eval-start",
        "--method herding, k_center, forgetting, kmeans: --coreset-epochs",
    ]


def test_help_shows_every_flag_once_with_the_papers_own_value(capsys):
    words = ("--dataset", "mnist", "--ipc", "10")
    tables, *_ = help_of(capsys, *words)
    shown = re.findall(r"^(?:│ |  )(--[a-z][a-z-]*)", tables, re.MULTILINE)
    assert sorted(shown) == sorted(map(flag, parse([*words]).values()))
    assert re.search(r"--inner-epochs INT[^()]*\(default: 50\)", tables)


@pytest.fixture(name="registries")
def _registries(monkeypatch):
    """Registries that are as before afterwards."""
    monkeypatch.setattr(ownership, "_OWNERS", dict(ownership._OWNERS))
    for axis in parts.AXES.values():
        monkeypatch.setattr(axis, "members", dict(axis.members))


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("setting", "owner"), [("width", "network"), ("distance", "objective"), ("seed", "run")])
def test_a_part_with_a_flag_of_something_else_is_refused_when_it_is_registered(setting, owner):
    part = dataclasses.make_dataclass("Clashing", [(setting, int, 1)], bases=(ParameterizationPart,), frozen=True)
    message = f"--{setting} of Clashing (parameterization) is a flag of {owner} already: rename it."
    with pytest.raises(ValueError, match=re.escape(message)):
        parts.PARAMETERIZATIONS.register("clashing", part)
    assert "clashing" not in parts.PARAMETERIZATIONS.members


@pytest.mark.usefixtures("registries")
def test_members_of_one_axis_may_share_a_flag():
    part = dataclasses.make_dataclass("Sharing", [("distance", str, "cosine")], bases=(ObjectivePart,), frozen=True)
    parts.OBJECTIVES.register("sharing", part)
    assert parse(["--objective", "sharing", "--distance", "squared_error"]).distance == "squared_error"


@pytest.mark.parametrize("words", ["--no-ipc", "--no-seed 1", "--no-width", "--no-image-rate"])
def test_only_switches_can_be_turned_off(words, capsys):
    assert main(words.split()) == 2
    assert f"There is no flag {words.split()[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize(("began", "goes_on"), [("random", "dc"), ("dc", "random")])
def test_a_run_is_not_resumed_with_another_method(began, goes_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/config.json").write_text(json.dumps(dump(parse(["--method", began, "--workdir", "run"]))))
    with pytest.raises(InputError, match=rf"\(--method was {began}, is {goes_on}\): resume it with its own\."):
        parse(["--method", goes_on, "--workdir", "run", "--resume"])


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("augment", "bogus", "--augment must be one of none, dsa, dsa_digits"),
        ("iterations", None, "--iterations must be of type int, not None"),
        ("ipc", 1.5, "--ipc must be of type int, not 1.5"),
        ("baseline", 1, "--baseline must be of type bool, not 1"),
        ("image_rate", "fast", "--image-rate must be of type float, not 'fast'"),
        ("eval_at", ("last",), "--eval-at must be of type"),
    ],
)
def test_saved_settings_of_another_type_or_choice_are_one_sentence(setting, value, message, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(dump(parse([])) | {setting: value}))
    with pytest.raises(InputError) as caught:
        load(config)
    assert message in str(caught.value)


@pytest.mark.usefixtures("registries")
def test_a_member_is_not_replaced_by_another_of_its_name():
    with pytest.raises(ValueError, match="parameterization has a member pixels already"):
        parts.PARAMETERIZATIONS.register("pixels", parts.PARAMETERIZATIONS.members["multi_formation"])


def test_another_value_is_named_before_it_is_found_to_change_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/config.json").write_text(json.dumps(dump(parse(["--workdir", "run"]))))
    with pytest.raises(InputError, match=r"\(--inner-epochs was 1, is 7\): resume it with its own\."):
        parse(["--inner-epochs", "7", "--workdir", "run", "--resume"])


def test_members_of_an_axis_that_share_a_flag_share_its_type():
    for axis in parts.AXES.values():
        types: dict[str, set] = {}
        for part in axis.members.values():
            for name, of in flag_types(part).items():
                types.setdefault(name, set()).add(str(of))
        assert not {name: found for name, found in types.items() if len(found) > 1}, axis.name


def test_every_choice_of_a_preset_can_be_typed():
    assert parse(["--method", "dd", "--learned-rate", "each"]).learned_rate == "each"


def test_values_may_be_separated_by_commas_and_spaces_and_a_home_directory_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    settings = parse(["--eval-at", "10,", "20", "--only-classes=0,1,", "--workdir", "~/run"])
    assert (settings.eval_at, settings.only_classes, settings.workdir) == ((10, 20), (0, 1), "/home/someone/run")


def test_rates_of_learned_labels_are_halved_where_those_of_images_are_not():
    settings = parse(["--method", "idc", "--labels", "soft", "--halve-every", "100"])
    assert settings.halve_every == 100


@pytest.mark.parametrize("network", ["lenet", "convnet", "mlp"])
def test_a_command_names_the_network_that_is_not_the_papers(network):
    words = ["--method", "dd", "--dataset", "mnist", "--ipc", "10", "--network", network]
    settings = parse(words)
    written = shlex.split(command(settings))
    assert ("--network" in written) == (network != "lenet")  # DD's own
    assert parse(written[3:]).network == network
