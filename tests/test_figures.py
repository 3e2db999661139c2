"""Curves stand beside what they are compared with."""

import matplotlib.pyplot as plt
import pytest

from experiments.pipeline import figures


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """The axes that were drawn on."""
    seen = []
    monkeypatch.setattr(figures, "_save", lambda figure, path, dpi: seen.extend(figure.axes))
    yield seen
    plt.close("all")


def test_accuracies_stand_beside_random_s_band_from_mean_to_deviation(drawn):
    rows = [{"iteration": t, "loss": 1.0 / t} for t in range(1, 5)]
    rows.insert(2, {"iteration": 2, "accuracy": 70.0, "deviation": 2.0})
    accuracy = {"condensed": {"mean": 80.0, "std": 1.0}, "random": {"mean": 60.0, "std": 4.0}}
    figures.curves(None, rows, 4, accuracy)
    _, axes = drawn
    (band,) = axes.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (56, 64)
    (level,) = [line for line in axes.lines if set(line.get_ydata()) == {60.0}]
    assert level.get_label() == "random real images ± deviation"
    (points,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert [*zip(points.get_xdata(), points.get_ydata())] == [(2, 70), (4, 80)]


def test_without_random_there_is_no_band(drawn):
    figures.curves(None, [{"iteration": 1, "loss": 1.0}], 1, {})
    assert not drawn[1].patches


@pytest.mark.parametrize(
    ("prefixes", "names"),
    [(("",), ["1 per class"]), (("dc: ", "dm: "), ["dc, 1 per class", "dm, 1 per class"])],
)
def test_every_method_has_a_line_of_its_own_where_a_setting_is_varied(prefixes, names, drawn):
    labels = [(f"unroll steps {n}", [str(n)]) for n in (5, 15)]
    rows = [
        {"method": prefix + label, "ipc": 1, "mean": 50.0, "std": 1.0} for prefix in prefixes for label, _ in labels
    ]
    figures.varied(None, ["unroll_steps"], labels, rows)
    assert [text.get_text() for text in drawn[0].get_legend().get_texts()] == names
