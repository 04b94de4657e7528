# SPDX-License-Identifier: BSD-3-Clause
"""examples/tour.ipynb runs from its first cell to its last, and shows what it says."""
import os

import pytest

import notebooks

TOUR = os.path.join(os.environ["PXRUN_SRCDIR"], "examples", "tour.ipynb")


def toured(python):
    """The notebook with the outputs of all cells."""
    notebooks.need(python, "matplotlib", "numpy", "tqdm")
    import nbformat

    tour = nbformat.read(TOUR, 4)
    nbformat.validate(tour)
    assert all(cell.cell_type == "markdown" or not cell.outputs for cell in tour.cells), "it is kept without outputs"
    with notebooks.Notebook(python) as notebook:
        for cell in tour.cells:
            if cell.cell_type == "code":
                cell.outputs = notebook.run(cell.source).outputs
    return tour


def cell_with(tour, words):
    (found,) = [cell for cell in tour.cells if cell.cell_type == "code" and words in cell.source]
    return found


@pytest.mark.parametrize("python", notebooks.PYTHONS)
def test_tour_shows_what_it_says(python, tmp_path):
    tour = toured(python)
    for cell in tour.cells:
        if cell.cell_type == "code":
            allowed = "raises-exception" in cell.metadata.get("tags", ())
            assert bool(notebooks.errors(cell)) == allowed, cell.source
            assert "Traceback" not in notebooks.stream(cell, "stderr"), cell.source
    drawn = notebooks.displayed(cell_with(tour, "%matplotlib inline"))
    assert sum("image/png" in data for data in drawn) == 4
    assert not any("Text(" in data.get("text/plain", "") for data in drawn)
    printed = notebooks.stream(cell_with(tour, "drew"))
    assert all(f"[stdout:{i}] drew 200000 points" in printed for i in range(4))
    assert "kernel-0.json" in notebooks.stream(cell_with(tour, "bind_kernel"))
    (outcome,) = notebooks.displayed(cell_with(tour, "np.allclose"))
    assert outcome["text/plain"] == "True"
    (picture,) = [data["text/html"] for data in notebooks.displayed(cell_with(tour, "def work")) if "<svg" in data.get("text/html", "")]
    assert "engine 3" in picture
    (client,) = notebooks.displayed(cell_with(tour, "pxrun.Cluster("))
    assert "<table" in client["text/html"]
    page = notebooks.Page(tour, str(tmp_path), height=6000)
    assert "A tour of pxrun" in page.text and "2 will not do" in page.text
