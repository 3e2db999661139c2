"""The notebooks run from top to bottom in a kernel of their own, with smaller numbers in the same cells."""

from pathlib import Path

import nbclient
import nbformat
import pytest

COLAB = Path(__file__).parents[1] / "colab"
QUICK = {
    "quickstart": {
        "ConvNet(data.num_classes, width=64)": "MLP(data.num_classes)",
        "ConvNet(mine.num_classes, width=32)": "MLP(mine.num_classes)",
        "range(300)": "range(3)",
        "range(100)": "range(2)",
        "students = 10": "students = 2",
        "epochs=300": "epochs=2",
    },
    "compose": {
        "ConvNet(data.num_classes, width=32)": "MLP(data.num_classes)",
        "in itertools.product(parameterizations, objectives, trajectories)": (
            "in list(itertools.product(parameterizations, objectives, trajectories))[::6]"
        ),
        "steps=200": "steps=5",
        "dc.dc_recipe(300), num_students=5": "dc.dc_recipe(1), num_students=1",
    },
    "tpu": {
        "ConvNet(data.num_classes, width=128)": "MLP(data.num_classes)",
        "steps=10": "steps=2",
        "trange(50)": "trange(2)",
        "num_students=8": "num_students=2, recipe=dc.dc_recipe(2)",
        '"--minutes", "5"': '"--iterations", "2", "--network", "mlp", "--num-students", "2", "--eval-epochs", "2"',
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_notebook_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(COLAB.parent))
    notebook = nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for full, short in QUICK[name].items():
        assert any(full in cell.source for cell in code), full
        for cell in code:
            cell.source = cell.source.replace(full, short)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    assert "±" in "".join(output.text for output in outputs if output.output_type == "stream")


def test_every_notebook_is_run():
    assert {path.stem for path in COLAB.glob("*.ipynb")} == set(QUICK)
