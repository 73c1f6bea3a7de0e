"""The inspector in a real browser: open, drag, copy, by mouse, finger and keyboard alone."""

import base64
import itertools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gazecrop
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import encode

Pixels = NDArray[np.uint8]
CHROMIUM = shutil.which("chromium")
RATIOS = ("16:9", "1:1", "4:5")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Debian's package chromium is not installed"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, front: str) -> Iterator[Page]:
    """The inspector, which must not complain to the browser's console."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda each: complaints.append(each.text) if each.type == "error" else None)
    page.goto(front)
    yield page
    context.close()
    assert [each for each in complaints if "422" not in each] == []


@pytest.fixture(scope="module")
def upload(astronaut: Pixels) -> bytes:
    return encode(astronaut[:400, 60:])


@pytest.fixture(scope="module")
def saliency(client: gazecrop.Client, upload: bytes) -> gazecrop.Saliency:
    return client.predict(upload)


def choose(page: Page, upload: bytes) -> None:
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": upload}
    page.get_by_label("Choose a photo").set_input_files(files=[file])  # type: ignore[list-item]
    expect(page.get_by_role("status")).to_contain_text("keeps", timeout=20_000)


def shown(page: Page) -> Any:
    """The windows that the page shows, from what it offers to copy."""
    page.get_by_role("radio", name="JSON").check()
    return json.loads(page.locator("#code").inner_text())


def expect_crops(page: Page, saliency: gazecrop.Saliency, **options: Any) -> None:
    """The page comes to show what the client chooses."""
    expected = {ratio: saliency.crop(ratio, **options).to_dict() for ratio in RATIOS}
    page.get_by_role("radio", name="JSON").check()
    page.wait_for_function(
        """expected => {
            const text = document.getElementById("code").textContent;
            return text && JSON.stringify(JSON.parse(text).crops) === expected;
        }""",
        arg=json.dumps(expected, separators=(",", ":")).replace(".0,", ",").replace(".0}", "}"),
        timeout=10_000,
    )


def rows(page: Page) -> list[list[int]]:
    """The wishes as the panel lists them."""
    return [
        [int(each.input_value()) for each in row.get_by_role("spinbutton").all()]
        for row in page.locator("#marks li").all()
    ]


def test_open_a_photo(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    expect_crops(page, saliency)
    cards = page.locator("#cards li")
    expect(cards).to_have_count(3)
    for card, ratio in zip(cards.all(), RATIOS, strict=True):
        kept = round(100 * saliency.crop(ratio).kept)
        expect(card).to_contain_text(f"{kept} % of the attention kept")
    drawn = page.locator("svg rect.window:not(.under)")
    expect(drawn).to_have_count(3)
    rect = saliency.crop("1:1").rect
    assert drawn.nth(1).get_attribute("x") == str(rect.left)
    assert drawn.nth(1).get_attribute("width") == str(rect.width)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_drop_and_paste(page: Page, upload: bytes, saliency: gazecrop.Saliency, event: str) -> None:
    page.evaluate(
        """([event, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], "photo.jpg", { type: "image/jpeg" }));
            const Kind = { drop: DragEvent, paste: ClipboardEvent }[event];
            const what = { drop: "dataTransfer", paste: "clipboardData" }[event];
            document.body.dispatchEvent(new Kind(event, { [what]: files, bubbles: true }));
        }""",
        [event, base64.b64encode(upload).decode()],
    )
    expect(page.get_by_role("status")).to_contain_text("keeps", timeout=20_000)
    expect_crops(page, saliency)


def test_the_sample(page: Page) -> None:
    page.get_by_role("button", name="Try a sample").click()
    expect(page.locator("#cards li")).to_have_count(3, timeout=20_000)


def test_no_photo(page: Page) -> None:
    page.get_by_role("button", name="Keep a region").click()
    expect(page.get_by_role("status")).to_have_text("Open a photo first.")
    page.get_by_label("Choose a photo").set_input_files(
        files=[{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"notes"}]
    )
    expect(page.get_by_role("status")).to_contain_text("not an image", timeout=20_000)


def test_drag_the_focus(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    box = page.locator("#overlay").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.6, 0.8, 0.95):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.9 * box["height"])
    page.mouse.up()
    ((x, y),) = rows(page)
    assert abs(x - 0.95 * saliency.size[0]) <= 3
    assert abs(y - 0.9 * saliency.size[1]) <= 3
    expect_crops(page, saliency, focus=(x, y))
    assert saliency.crop("4:5", focus=(x, y)) != saliency.crop("4:5")


def test_drag_and_resize_a_region(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    page.get_by_role("button", name="Keep a region").click()
    ((left, top, width, height),) = rows(page)
    scale = page.locator("#overlay").bounding_box()["width"] / saliency.size[0]  # type: ignore[index]

    def drag(part: str, across: int, down: int) -> None:
        box = page.locator(f".keep .{part}").bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + across * scale, y + down * scale)
        page.mouse.up()

    drag("shape", 150, 90)
    drag("corner", -20, 10)
    ((*box,),) = rows(page)
    expected = (left + 150, top + 90, width - 20, height + 10)
    assert np.abs(np.subtract(box, expected)).max() <= 2
    expect_crops(page, saliency, keep=[box])


def test_by_keyboard_alone(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    page.get_by_role("button", name="Keep a region").focus()
    page.keyboard.press("Enter")
    mark = page.get_by_role("group", name=re.compile("^keep:"))
    expect(mark).to_be_focused()
    before = rows(page)[0]
    for key in ("ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    step = round(max(saliency.size) / 100)
    after = rows(page)[0]
    assert np.subtract(after, before).tolist() == [0, step, step, -step]
    expect(mark).to_have_accessible_name(
        f"keep: {after[2]} by {after[3]} at {after[0]}, {after[1]}"
    )
    expect_crops(page, saliency, keep=[after])

    page.get_by_label("keep, left in pixels").fill("5")
    after[0] = 5
    expect_crops(page, saliency, keep=[after])
    mark.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Keep a region")).to_be_focused()
    expect_crops(page, saliency)


def test_what_cannot_be_is_said_and_can_be_undone(
    page: Page, upload: bytes, saliency: gazecrop.Saliency
) -> None:
    choose(page, upload)
    page.get_by_role("button", name="Avoid a region").click()
    for name, value in zip(("left", "top", "width", "height"), (0, 0, *saliency.size), strict=True):
        page.get_by_label(f"avoid, {name} in pixels").fill(str(value))
    expect(page.get_by_role("status")).to_contain_text("stays off the regions to avoid")
    expect(page.locator("#cards")).to_have_class(re.compile("stale"))
    page.get_by_role("button", name="Remove avoid").click()
    expect_crops(page, saliency)
    expect(page.locator("#cards")).not_to_have_class(re.compile("stale"))


def test_shapes_zoom_and_tolerance(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    page.get_by_label("Zoom").fill("1.5")
    page.get_by_label("Attention to give up").fill("0.05")
    expect_crops(page, saliency, zoom=1.5, tolerance=0.05)
    page.get_by_label("Another shape").fill("0:1")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#cards li")).to_have_count(3)
    page.get_by_label("Another shape").fill("3:1")
    page.keyboard.press("Enter")
    expect(page.locator("#cards li")).to_have_count(4)
    for ratio in RATIOS:
        page.get_by_role("checkbox", name=ratio, exact=True).uncheck()
    expect(page.locator("#cards li")).to_have_count(1)
    assert list(shown(page)["crops"]) == ["3:1"]


def test_compare(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)
    page.get_by_label("with windows in the centre").check()
    page.get_by_label("with other candidates").check()
    card = page.locator("#cards li", has=page.get_by_role("heading", name="4:5"))
    candidates = saliency.crops("4:5", 3)
    expect(card.get_by_role("img")).to_have_count(2 + len(candidates))
    centred = saliency.crop("4:5", method="centre")
    expect(card).to_contain_text(f"centre: {round(100 * centred.kept)} %")
    page.get_by_role("button", name="Show what 1:1 cuts").click()
    expect(page.get_by_role("button", name="Show what 1:1 cuts")).to_have_attribute(
        "aria-pressed", "true"
    )
    cuts = saliency.crop("1:1").cuts or ()
    expect(page.locator("svg rect.cut")).to_have_count(len(cuts))


def test_the_heat_map(page: Page, upload: bytes, saliency: gazecrop.Saliency) -> None:
    choose(page, upload)

    def opacity(x: float, y: float) -> int:
        point = [x / saliency.size[0], y / saliency.size[1]]
        value: int = page.evaluate(
            """([x, y]) => {
                const heat = document.getElementById("heat");
                const place = [Math.floor(x * heat.width), Math.floor(y * heat.height)];
                return heat.getContext("2d").getImageData(...place, 1, 1).data[3];
            }""",
            point,
        )
        return value

    assert opacity(*saliency.salient_point) > 200
    assert opacity(*(side - 1 for side in saliency.size)) < 60
    page.get_by_label("Strength").fill("0")
    assert page.locator("#heat").evaluate("heat => getComputedStyle(heat).opacity") == "0"
    before = page.locator("#heat").evaluate("heat => heat.toDataURL()")
    page.get_by_label("Shows").select_option("heads and lines of text")
    assert page.locator("#heat").evaluate("heat => heat.toDataURL()") != before


def test_what_it_copies_runs(
    page: Page, front: str, grpc: str, upload: bytes, tmp_path: Path, capsys: Any
) -> None:
    choose(page, upload)
    page.get_by_role("button", name="Set a focus").click()
    page.get_by_role("button", name="Avoid a region").click()
    page.get_by_label("Zoom").fill("1.2")
    expect(page.locator("#code")).to_contain_text("zoom=1.2")
    copied = {}
    for language in ("curl", "Python", "JSON"):
        page.get_by_role("radio", name=language).check()
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied[language] = page.evaluate("navigator.clipboard.readText()")
        expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    expected = json.loads(copied["JSON"])["crops"]

    (tmp_path / "photo.jpg").write_bytes(upload)
    command = ["sh", "-c", copied["curl"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["crops"] == expected
    program = copied["Python"].replace("localhost:8001", grpc)
    program = program.replace('"photo.jpg"', repr(str(tmp_path / "photo.jpg")))
    capsys.readouterr()
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(crop) for crop in map(gazecrop_form, expected.values())]


def gazecrop_form(crop: dict[str, Any]) -> dict[str, Any]:
    """As Python prints what JavaScript wrote: 1 is 1.0 where a share is meant."""
    shares = ("kept", "inside", "attention")
    return {
        name: float(value)
        if name in shares
        else [gazecrop_form(cut) for cut in value]
        if name == "cuts"
        else value
        for name, value in crop.items()
    }


@pytest.mark.parametrize("width", [390, 1280])
def test_labels_of_windows_lie_apart(page: Page, upload: bytes, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    choose(page, upload)
    for ratio in ("1.01", "1.02", "7:9"):
        page.get_by_label("Another shape").fill(ratio)
        page.keyboard.press("Enter")
    labels = page.locator("svg .label")
    expect(labels).to_have_count(6)
    boxes = [label.bounding_box() or pytest.fail("hidden") for label in labels.all()]
    photo = page.locator("#overlay").bounding_box() or pytest.fail("hidden")
    for box, other in itertools.combinations(boxes, 2):
        assert not common(box, other)
    for box in boxes:
        assert common(box, photo) == pytest.approx(box["width"] * box["height"], rel=1e-3)


def common(one: Any, other: Any) -> float:
    """Square pixels that both boxes have."""
    sides = (
        max(0, min(one[at] + one[side], other[at] + other[side]) - max(one[at], other[at]))
        for at, side in (("x", "width"), ("y", "height"))
    )
    return math.prod(sides)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_any_screen_and_reader(browser: Browser, front: str, width: int, scheme: Any) -> None:
    """No sideways scrolling, and no violation that axe finds of WCAG 2.2 AA."""
    phone = width < 400
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
    )
    page = context.new_page()
    page.goto(front)
    page.get_by_role("button", name="Try a sample").click()
    expect(page.locator("#cards li")).to_have_count(3, timeout=20_000)
    page.get_by_role("button", name="Keep a region").click()
    page.get_by_label("with windows in the centre").check()
    page.get_by_label("with other candidates").check()
    if phone:
        page.locator("#overlay").tap(position={"x": 30, "y": 30})
        expect(page.locator("#marks li")).to_have_count(2)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 380
    assert light is (scheme == "light")
    for path in (None, "/docs"):
        if path:
            page.goto(f"{front}{path}")
            expect(page.get_by_role("heading", name="POST /crops")).to_be_visible()
            assert page.evaluate(overflow) <= 0
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
