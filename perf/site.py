"""MkDocs' hook: the documents become pages where they lie in the repository.

`mkdocs.yml` names the pages by their paths from the repository's root, and pictures beside them go
along. A link means the same on the site as in the repository: to a page, to a picture, or, if it
is to any other file or folder that exists, to the repository itself. MkDocs warns of the rest, and
`make docs` fails there.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PICTURES = {".jpg", ".png", ".svg"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")


def on_files(files: Files, /, *, config: MkDocsConfig) -> Files:
    """The theme's files, the pages of the navigation and the pictures in their folders."""
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = list(_named(config.nav))
    folders = {(ROOT / page).parent for page in pages}
    pictures = [
        path.relative_to(ROOT).as_posix()
        for folder in sorted(folders)
        for path in sorted(folder.iterdir())
        if path.suffix in PICTURES
    ]
    ours = [
        File(path, str(ROOT), config.site_dir, config.use_directory_urls)
        for path in (*pages, *pictures)
    ]
    return Files([*of_theme, *ours])


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text with links to what is no page led to the repository."""
    folder = posixpath.dirname(page.file.src_uri)

    def led(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        if files.get_file_from_path(target) or not (ROOT / target).exists():
            return link[0]
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{config.extra['repository']}/{kind}/main/{target}"

    return LINK.sub(led, markdown)


def _named(nav: Any) -> Iterator[str]:
    """The paths in a navigation."""
    match nav:
        case str():
            yield nav
        case dict():
            for entry in nav.values():
                yield from _named(entry)
        case list():
            for entry in nav:
                yield from _named(entry)
