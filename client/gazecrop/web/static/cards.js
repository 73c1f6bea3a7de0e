/** A card for each shape: the crop, what it keeps, what it cuts, and others beside it. */

import { colour } from "./stage.js";

const HEIGHT = 140; // pixels of a preview, as far as the card is wide enough
const SMALL = 80;
const WIDEST = 210;

/**
 * @param list where the cards go.
 * @param picture the photo's <img>.
 * @param answer of POST /crops.
 * @param centred the answer for windows in the centre, or null.
 * @param choose called with the name of the shape that was chosen.
 */
export function showCards(list, picture, answer, centred, chosen, choose) {
  const cards = Object.entries(answer.crops).map(([name, crop], index) => {
    const card = element("li", { class: name === chosen ? "card chosen" : "card" });
    card.style.setProperty("--colour", colour(index));
    const title = element("h3", {}, name);
    if (crop.advice === "pad") title.append(element("span", { class: "advice" }, "better padded"));
    const button = element("button", { type: "button", "aria-pressed": name === chosen }, "Show");
    button.setAttribute("aria-label", `Show what ${name} cuts`);
    button.addEventListener("click", () => choose(name));
    title.append(button);
    const pictures = element("div", { class: "pictures" });
    pictures.append(figure(picture, answer.size, crop, HEIGHT, name, ""));
    if (centred) {
      const other = centred.crops[name];
      pictures.append(figure(picture, answer.size, other, SMALL, `${name} in the centre`, `centre: ${percent(other.kept)}`));
    }
    (answer.candidates?.[name] ?? []).forEach((other, i) => {
      pictures.append(figure(picture, answer.size, other, SMALL, `${name}, candidate ${i + 1}`, `${i + 1}: ${percent(other.kept)}`));
    });
    const kept = element("p", { class: "kept" }, percent(crop.kept));
    kept.append(element("small", {}, " of the attention kept"));
    card.append(title, pictures, kept, element("p", { class: "hint" }, told(crop.cuts)));
    return card;
  });
  list.replaceChildren(...cards);
}

/** What a window cuts, in words. */
export function told(cuts) {
  if (!cuts) return "What it cuts is not known.";
  if (!cuts.length) return "Cuts through no head and no line of text.";
  const parts = cuts.map((cut) => percent(cut.inside)).join(", ");
  return cuts.length === 1
    ? `Cuts through a head or line of text: ${parts} of it inside.`
    : `Cuts through ${cuts.length} heads or lines of text: ${parts} of them inside.`;
}

export const percent = (share) => `${Math.round(100 * share)} %`;

function figure(picture, size, crop, height, name, caption) {
  const drawn = element("figure");
  const canvas = element("canvas", { role: "img", "aria-label": `The crop ${name}` });
  const scale = Math.min(height / crop.height, WIDEST / crop.width);
  const [shownWidth, shownHeight] = [crop.width * scale, crop.height * scale].map((side) => Math.max(1, side));
  canvas.width = shownWidth * devicePixelRatio;
  canvas.height = shownHeight * devicePixelRatio;
  canvas.style.width = `${shownWidth}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const [across, down] = [picture.naturalWidth / size[0], picture.naturalHeight / size[1]];
  if (picture.naturalWidth) {
    context.drawImage(
      picture, crop.left * across, crop.top * down, crop.width * across, crop.height * down, 0, 0, canvas.width, canvas.height,
    );
  }
  drawn.append(canvas);
  if (caption) drawn.append(element("figcaption", {}, caption));
  return drawn;
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
}
