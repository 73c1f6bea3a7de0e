"""Draw README.md's picture of the inspector: a real browser opens a photo in `make web`.

python -m perf.screenshot [--front http://127.0.0.1:8080] [--out docs/inspector.jpg]
"""

import argparse
import io
import shutil
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import FilePayload, FloatRect, Page, expect, sync_playwright

WIDTH, HEIGHT = 1240, 900  # pixels of the browser's window
SHAPES = {"16:9": True, "1:1": True, "4:5": False, "9:16": True}
LAST = "#windows"  # the picture ends below it,
MARGIN = 20  # by so many pixels


def photo() -> bytes:
    """An astronaut beside a shuttle: a wide window has no room for her head."""
    picture = Image.fromarray(skimage.data.astronaut()[:340, 60:])
    file = io.BytesIO()
    picture.resize((904, 680), Image.Resampling.LANCZOS).save(file, "JPEG", quality=92)
    return file.getvalue()


def inspect(page: Page) -> None:
    """Open the photo, choose shapes that differ, and compare with the centre."""
    upload: FilePayload = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    page.get_by_label("Choose a photo").set_input_files([upload])
    for shape, wanted in SHAPES.items():
        page.get_by_role("checkbox", name=shape, exact=True).set_checked(wanted)
    page.get_by_label("with windows in the centre").check()
    expect(page.locator("#cards li")).to_have_count(sum(SHAPES.values()))
    expect(page.get_by_role("status")).to_contain_text("9:16 keeps")


def screenshot(front: str, out: Path) -> None:
    """Write the picture; a browser of the system's packages must be there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(front)
        inspect(page)
        box = page.locator(LAST).bounding_box()
        assert box is not None
        height = box["y"] + box["height"] + MARGIN
        above: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": height}
        page.screenshot(path=out, type="jpeg", quality=88, full_page=True, clip=above)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="draw the picture of the inspector in README.md")
    parser.add_argument("--front", default="http://127.0.0.1:8080", help="where it answers")
    parser.add_argument("--out", type=Path, default=Path("docs/inspector.jpg"))
    args = parser.parse_args()
    screenshot(args.front, args.out)


if __name__ == "__main__":
    main()
