"""Claims about the report as a page."""

from __future__ import annotations

from html.parser import HTMLParser

import torch
from documents import document, measured

from lowvision import report
from lowvision.imaging import io
from lowvision.report import page

VOID = {"meta", "img", "br", "input"}
DRAWN = {"path", "circle", "polygon", "polyline"}


class Checker(HTMLParser):
    """Check that elements are closed in order, and collect the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in DRAWN

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open
    return checker


METRICS = [{"stage": "joint", "step": s, "loss": 1 / s, "valid_psnr": 27.0, "shares": [0.5, 0.5]} for s in (1, 2, 3)]


def test_the_page_is_complete_and_loads_nothing_from_elsewhere(tmp_path):
    folder = tmp_path / "birds" / "bird"
    folder.mkdir(parents=True)
    for name in ("input", "base_whole", "routed", "gt", "map"):
        io.write(folder / f"{name}.png", io.Image(io.to_uint8(torch.rand(3, 90, 90))))
    content = report.html(document(2), METRICS, tmp_path)
    checker = read(content)
    assert len(checker.sources) == 7  # two of them are compared by a divider
    assert all(source.startswith("data:image/") for source in checker.sources)
    assert "http" not in content
    assert checker.seen.count("script") == 1
    assert checker.seen.count("svg") == 3


def test_only_the_first_images_of_a_set_get_a_divider(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MAX_COMPARED", 1)
    changed = document(2)
    (image,) = changed["sets"][0]["images"]
    changed["sets"][0]["images"] = [image | {"name": name} for name in ("one", "two")]
    for name in ("one", "two"):
        folder = tmp_path / "birds" / name
        folder.mkdir(parents=True)
        for method in ("input", "routed"):
            io.write(folder / f"{method}.png", io.Image(io.to_uint8(torch.rand(3, 20, 20))))
    assert report.html(changed, [], tmp_path).count('class="compare"') == 1


def test_table_and_text_show_the_same_figures():
    checker = read(report.html(document(3), [], None))
    for figure in ("27.38", "+1.38", "75.0%", "33 / 33 / 33"):
        assert figure in checker.text


def test_without_metrics_and_pictures_there_is_only_the_table():
    checker = read(report.html(document(0), [], None))
    assert "Training" not in checker.text
    assert "Pictures" not in checker.text


def test_names_are_escaped(tmp_path):
    hostile = "<script>alert('x')</script>&"
    changed = document(2, name=hostile, **{hostile: measured(1.0)})
    changed["sets"][0]["name"] = hostile
    changed["task"] = {hostile: {hostile: hostile}}
    metrics = [{**entry, "stage": hostile} for entry in METRICS]
    checker = read(report.html(changed, metrics, tmp_path))
    assert "script" not in checker.seen
    assert hostile in checker.text


def test_many_images_are_collapsed():
    changed = document(2)
    changed["sets"][0]["images"] *= 20
    assert "<details>" in report.html(changed, [], None)
    assert "<details open>" in report.html(document(2), [], None)
