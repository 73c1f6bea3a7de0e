"""The documents build as a site whose links hold and that loads nothing from other hosts."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import gazecrop
import numpy as np
import pytest
from PIL import Image

from perf import pictures

ROOT = Path(__file__).parents[1]


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = ["mkdocs", "build", "--strict", "--config-file", "mkdocs.yml", "--site-dir", str(out)]
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser fetches without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag != "a" and given.get("rel") != "canonical":
            self.addresses += [given[name] or "" for name in ("src", "href") if name in given]


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        assert loaded.addresses
        foreign = [address for address in loaded.addresses if re.match(r"(https?:)?//", address)]
        assert foreign == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text("utf-8"))


def test_nothing_asks_the_repositorys_host_for_its_stars(site: Path) -> None:
    assert 'data-md-component="source"' not in (site / "index.html").read_text("utf-8")


def test_links_to_sources_lead_to_the_repository(site: Path) -> None:
    security = (site / "SECURITY" / "index.html").read_text("utf-8")
    source = "https://github.com/gazecrop/gazecrop/blob/main/model_repository/preprocess/1/photo.py"
    assert f'href="{source}"' in security
    assert 'href="../deploy/#3-clients"' in security


def test_every_public_name_is_explained(site: Path) -> None:
    page = (site / "docs" / "api" / "index.html").read_text("utf-8")
    missing = [
        name
        for name in gazecrop.__all__
        if not name.startswith("__") and f'id="gazecrop.{name}"' not in page
    ]
    assert missing == []
    for text in ("whatever <code>predict</code>", "in_flight", "trace context"):
        assert text in page


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("[gone](gone.md)", "gone.md"),
        ("[gone](integrity.md#gone)", "#gone"),
        ("![gone](gone.png)", "gone.png"),
    ],
)
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str, complaint: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "perf").mkdir()
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: broken\ndocs_dir: docs\nhooks: [perf/site.py]\nplugins: []\n"
        "extra: {repository: https://example.org}\nnav: [docs/a.md, docs/integrity.md]\n"
        "validation: {anchors: warn}\n"
    )
    (tmp_path / "perf/site.py").write_bytes((ROOT / "perf/site.py").read_bytes())
    (tmp_path / "docs/integrity.md").write_text("# There\n")
    (tmp_path / "docs/a.md").write_text("# Here\n\n[there](integrity.md)\n")
    assert build(tmp_path, tmp_path / "out").returncode == 0
    (tmp_path / "docs/a.md").write_text(f"# Here\n\n{link}\n")
    broken = build(tmp_path, tmp_path / "out")
    assert broken.returncode == 1
    assert complaint in broken.stderr


def test_the_pictures_of_the_concepts_are_drawn(tmp_path: Path) -> None:
    pictures.draw(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    page = (ROOT / "docs/concepts.md").read_text("utf-8")
    assert drawn == set(re.findall(r"\]\((\S+\.jpg)\)", page))
    for name in drawn:
        with Image.open(tmp_path / name) as picture, Image.open(ROOT / "docs" / name) as shown:
            assert picture.height == shown.height == pictures.HEIGHT
            assert np.asarray(picture).std() > 10
