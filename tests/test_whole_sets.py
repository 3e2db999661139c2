"""The comparison of whole sets says what differs, and both sides of IDC start alike."""

import json
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import golden as golden_arrays
from helpers import golden_params, relative_error

import dcjax as dc
from benchmarks import golden, tables, whole
from benchmarks.workload import Workload
from experiments.pipeline.build import build
from experiments.settings.parse import parse

BENCHMARKS = Path(whole.__file__).parent


def rows(side, sets):
    return [
        {"method": "dc", "side": side, "seed": seed, "accuracies": accuracies, "losses": losses}
        for seed, (accuracies, losses) in enumerate(sets)
    ]


def test_means_are_over_sets_and_a_difference_is_in_units_of_its_error():
    ours = rows("ours", [([80, 82], [4.0, 2.0]), ([83, 85], [6.0, 4.0])])
    peer = rows("peer", [([81, 83], [5.0, 5.0]), ([85, 87], [7.0, 7.0])])
    accuracy, first, second = whole.told_apart(ours + peer, "dc")
    assert accuracy[2:4] == ("82.5 ± 1.5", "84 ± 2")
    assert float(accuracy[4]) == pytest.approx(-1.5 / 2.5)
    assert float(accuracy[5]) > 0.5
    assert first[2:4] == ("5 ± 1", "6 ± 1")
    assert second[2:4] == ("3 ± 1", "6 ± 1")


def test_curves_are_means_over_sets_and_every_set_is_a_point(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plt, "close", lambda figure: drawn.setdefault("axes", figure.axes))
    whole.draw(
        tmp_path / "whole.png",
        rows("ours", [([80], [4.0, 2.0]), ([84], [6.0, 4.0])]) + rows("peer", [([81], [5.0, 3.0])] * 2),
    )
    left, right = drawn["axes"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), [5, 3])
    np.testing.assert_allclose(right.lines[0].get_xdata(), [80, 84])
    assert (tmp_path / "whole.png").stat().st_size > 1000


def test_the_document_has_the_committed_measurements_and_no_side_is_told_apart():
    found = json.loads((BENCHMARKS / "results" / "whole.json").read_text())["rows"]
    lines = [line for method in ("dc", "idc") for line in whole.told_apart(found, method)]
    assert tables.table(whole.HEADING, lines) in (BENCHMARKS / "README.md").read_text()
    assert [len([row for row in found if row["side"] == side]) for side in whole.SIDES] == [20, 20]
    assert all(abs(float(line[4])) < 2 for line in lines)


def test_both_sides_start_idc_from_the_same_images_made_smaller(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import peer, whole_peer

    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    monkeypatch.setattr(peer, "drawn", lambda images, count: images[:count])
    theirs = whole_peer.mixed(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    real = dc.Batch(images[None], np.ones((1, 4, 1), np.float32))
    ours = dc.parameterizations.from_mixed(2)(jax.random.key(0), real, 1)
    np.testing.assert_array_equal(theirs, np.asarray(ours)[0])


def test_both_sides_of_dc_take_the_same_steps(monkeypatch):
    """By the command's own settings, from the same noise, on the same weights and on all real images of each class."""
    torch = pytest.importorskip("torch")
    from benchmarks import peer, whole_peer

    arrays = golden_arrays("dc_gray28")
    network = dc.network
    monkeypatch.setattr(dc, "network", lambda *how: network(*how)._replace(init=lambda key: golden_params(arrays)))
    monkeypatch.setattr(peer, "new_net", lambda work: golden.published_net(arrays))
    real = np.random.default_rng(0).integers(0, 256, (12, 28, 28, 1), np.uint8), np.arange(12) % 3
    data = dc.data.from_arrays(real, real, name="mnist")
    width = len(arrays["conv0_bias"])
    ours = build(parse(whole.words("dc", 0, "run")).replace(width=width, real_batch=4), data)
    theirs = peer.Condensation(Workload("step", "mnist", width, classes=3, real=4), whole_peer.classes_of(data))
    source = dc.source(data.train, real_per_class=4)
    state = ours.condenser.init(jax.random.key(0), source.draw(jax.random.key(1)))
    with torch.no_grad():
        theirs.images.copy_(torch.tensor(np.asarray(ours.decode(state.syn).image[:, 0])).permute(0, 3, 1, 2))
    step = dc.iteration(ours.condenser, steps=1)
    for number in range(3):
        state, metrics = step(jax.random.key(2), state, source, number)
        assert theirs.step() == pytest.approx(3 * float(metrics["loss"]), rel=1e-4)
    image = theirs.images.detach().permute(0, 2, 3, 1).numpy()
    assert relative_error(ours.decode(state.syn).image[:, 0], image) < 1e-4


def test_the_peer_makes_sets_of_both_methods():
    pytest.importorskip("torch")
    from benchmarks import whole_peer

    rng = np.random.default_rng(0)
    split = rng.integers(0, 256, (160, 28, 28, 1), np.uint8), np.arange(160) % 10
    data = dc.data.from_arrays(split, split, name="mnist")
    for method, views in (("dc", 1), ("idc", 4)):
        images, losses = whole_peer.MAKERS[method](2, 4, data)
        assert images.shape == (10, views, 1, 28, 28)
        assert len(losses) == 2
        assert np.isfinite(losses).all()
