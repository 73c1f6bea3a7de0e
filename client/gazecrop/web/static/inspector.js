/** The inspector: what the user opens and asks for, and what is shown of it. */

import { percent, showCards } from "./cards.js";
import { crops, parameters } from "./front.js";
import { decoded, draw } from "./heat.js";
import { snippet } from "./snippets.js";
import { Stage } from "./stage.js";

const RATIOS = ["16:9", "1:1", "4:5", "9:16"];
const CHOSEN = 3; // of them at first
const CANDIDATES = 3;
const FIRST_BOXES = { keep: [0.4, 0.4, 0.2, 0.2], avoid: [0, 0, 0.15, 0.15] }; // shares of the sides
const find = (id) => document.getElementById(id);
const [picture, status, marks] = ["picture", "status", "marks"].map(find);
const stage = new Stage(find("overlay"), markChanged);

const page = { saliency: null, answer: null, centred: null, chosen: null, busy: false, again: false };

function say(text, isBad = false) {
  status.textContent = text;
  status.classList.toggle("bad", isBad);
}

// What the user opens

async function open(file) {
  say("Looking at the photo …");
  const url = URL.createObjectURL(file);
  try {
    const first = await crops(file, new URLSearchParams({ ratio: "1:1", saliency: 1 }));
    URL.revokeObjectURL(picture.src);
    picture.src = url;
    page.saliency = first.saliency;
    find("photo").hidden = false;
    marks.replaceChildren();
    stage.open(first.size);
    await picture.decode().catch(() => say("This browser cannot show this kind of photo; its windows hold all the same."));
    showHeat();
    stage.rescale();
    await refresh();
  } catch (error) {
    URL.revokeObjectURL(url);
    say(error.message, true);
  }
}

function takePhoto(files) {
  const photo = [...(files ?? [])].find((file) => file.type.startsWith("image/")) ?? files?.[0];
  if (photo) open(photo);
}

find("file").addEventListener("change", (event) => {
  takePhoto(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});
find("sample").addEventListener("click", async () => {
  open(await (await fetch("static/sample.jpg")).blob());
});
document.addEventListener("paste", (event) => takePhoto(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  takePhoto(event.dataTransfer.files);
});

// What the user asks for

function asked() {
  const boxes = (kind) => stage.marks.filter((mark) => mark.kind === kind).map((mark) => mark.box);
  return {
    ratios: [...find("ratios").querySelectorAll("input:checked")].map((input) => input.value),
    focus: boxes("focus")[0] ?? null,
    keep: boxes("keep"),
    avoid: boxes("avoid"),
    zoom: Number(find("zoom").value),
    tolerance: Number(find("tolerance").value),
  };
}

function addRatio(ratio, isChosen) {
  const chips = find("ratios");
  if ([...chips.querySelectorAll("input")].some((input) => input.value === ratio)) return;
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "checkbox", value: ratio, checked: isChosen });
  label.append(input, ratio);
  chips.append(label);
}

function addTypedRatio() {
  const input = find("ratio");
  const ratio = input.value.trim();
  const isRatio = /^\d+(\.\d+)?(:\d+(\.\d+)?)?$/.test(ratio) && ratio.split(":").every((side) => Number(side) > 0);
  input.setCustomValidity(isRatio ? "" : "a shape is like 16:9 or 1.78");
  if (!input.reportValidity()) return;
  addRatio(ratio, true);
  input.value = "";
  refresh();
}

find("add-ratio").addEventListener("click", addTypedRatio);
find("ratio").addEventListener("input", (event) => event.target.setCustomValidity(""));
find("ratio").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    addTypedRatio();
  }
});

for (const kind of ["focus", "keep", "avoid"]) {
  find(kind).addEventListener("click", () => {
    if (!page.answer) return say("Open a photo first.", true);
    const [width, height] = page.answer.size;
    const known = kind === "focus" && stage.marks.find((mark) => mark.kind === kind);
    const box = FIRST_BOXES[kind]?.map((share, i) => Math.round(share * [width, height][i % 2]))
      ?? page.answer.salient_point;
    const mark = known || stage.add(kind, box);
    mark.group.focus({ preventScroll: true });
    markChanged(mark);
  });
}

/** A mark moved, or, where its box is null, is to go. */
function markChanged(mark) {
  if (mark.box === null) {
    const { removed } = mark;
    stage.remove(removed);
    removed.row.remove();
    find(removed.kind).focus();
  } else {
    mark.row ??= addRow(mark);
    mark.row.querySelectorAll("input").forEach((input, i) => {
      if (input !== document.activeElement) input.value = mark.box[i];
    });
  }
  refresh();
}

function addRow(mark) {
  const row = document.createElement("li");
  row.append(mark.kind);
  const names = ["left", "top", "width", "height"].slice(0, mark.box.length);
  names.forEach((name, i) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "number", min: 0, ariaLabel: `${mark.kind}, ${name} in pixels` });
    input.addEventListener("input", () => {
      stage.move(mark, mark.box.map((value, j) => (i === j ? input.valueAsNumber || 0 : value)));
    });
    row.append(input);
  });
  const remove = document.createElement("button");
  Object.assign(remove, { type: "button", textContent: "×", ariaLabel: `Remove ${mark.kind}` });
  remove.addEventListener("click", () => markChanged({ box: null, removed: mark }));
  row.append(remove);
  marks.append(row);
  return row;
}

// What is shown

/** Ask anew; while an answer is under way, only once more after it. */
async function refresh() {
  if (!page.saliency) return;
  if (page.busy) {
    page.again = true;
    return;
  }
  page.busy = true;
  do {
    page.again = false;
    await answered(asked());
  } while (page.again);
  page.busy = false;
}

async function answered(now) {
  if (!now.ratios.length) {
    fail("Choose a shape.");
    return;
  }
  const query = parameters(now);
  if (find("candidates").checked) query.append("candidates", CANDIDATES);
  const plain = parameters({ ...now, focus: null, keep: [], avoid: [] });
  plain.append("method", "centre");
  try {
    [page.answer, page.centred] = await Promise.all([
      crops(page.saliency, query),
      find("centred").checked ? crops(page.saliency, plain) : null,
    ]);
  } catch (error) {
    fail(error.message);
    return;
  }
  page.asked = now;
  show();
}

/** Say why there are no such windows; the earlier ones stay in view, but faint. */
function fail(text) {
  say(text, true);
  find("cards").classList.add("stale");
}

function show() {
  find("cards").classList.remove("stale");
  const { answer, centred, asked: now } = page;
  if (!(page.chosen in answer.crops)) page.chosen = now.ratios[0];
  showCards(find("cards"), picture, answer, centred, page.chosen, choose);
  stage.show(Object.entries(answer.crops), page.chosen);
  const kept = Object.entries(answer.crops).map(([name, crop]) => `${name} keeps ${percent(crop.kept)}`);
  say(`${answer.size.join(" × ")} pixels. ${kept.join(", ")} of the attention.`);
  showCode();
}

function choose(name) {
  page.chosen = name;
  show();
  find("cards").querySelector("[aria-pressed=true]").focus();
}

function showHeat() {
  const map = find("map");
  const values = page.saliency[map.value];
  find("heat").hidden = !values;
  if (values) draw(find("heat"), decoded(values), page.saliency.grid);
}

function showCode() {
  const { value } = document.querySelector("[name=language]:checked");
  find("code").textContent = page.answer ? snippet(value, page.asked, page.answer) : "";
}

function showStrength() {
  find("heat").style.opacity = find("strength").value / 100;
}

find("map").addEventListener("change", () => page.saliency && showHeat());
find("strength").addEventListener("input", showStrength);
find("languages").addEventListener("change", showCode);
find("copy").addEventListener("click", async (event) => {
  await copy(find("code"));
  event.target.textContent = "Copied";
  setTimeout(() => { event.target.textContent = "Copy"; }, 1500);
});
for (const id of ["ratios", "centred", "candidates"]) find(id).addEventListener("change", refresh);
find("zoom").addEventListener("input", (event) => {
  find("zoom-value").textContent = event.target.value;
  refresh();
});
find("tolerance").addEventListener("input", (event) => {
  find("tolerance-value").textContent = percent(event.target.value);
  refresh();
});
find("controls").addEventListener("submit", (event) => event.preventDefault());

/** Browsers give the clipboard only to pages of HTTPS and of this machine; selecting always works. */
async function copy(node) {
  if (navigator.clipboard) return navigator.clipboard.writeText(node.textContent);
  getSelection().selectAllChildren(node);
  return document.execCommand("copy");
}

RATIOS.forEach((ratio, i) => addRatio(ratio, i < CHOSEN));
showStrength();
