/** The photo with what lies on it: windows, what they cut, and the wishes that can be dragged. */

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#ffffff", "#3fd7ff", "#b6ff5c", "#ff9df5", "#ffe14d", "#a8b4ff"];

export const colour = (index) => COLOURS[index % COLOURS.length];

export class Stage {
  /**
   * @param svg the layer over the photo, which it takes as its coordinates.
   * @param changed called with a mark {kind, box} after it moved, and with {kind, box: null} when
   *     it is to go.
   */
  constructor(svg, changed) {
    this.svg = svg;
    this.changed = changed;
    this.layers = ["windows", "marks"].map(() => svg.appendChild(element("g")));
    this.marks = [];
    new ResizeObserver(() => this.rescale()).observe(svg);
    svg.addEventListener("pointerdown", (event) => event.pointerType === "mouse" && this.#pressed(event));
    svg.addEventListener("click", (event) => event.pointerType !== "mouse" && this.#pressed(event));
  }

  /** A photo of this size takes the place of the one before. */
  open([width, height]) {
    this.size = [width, height];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.layers.forEach((layer) => layer.replaceChildren());
    this.marks = [];
    this.shown = null;
  }

  /** Pixels of the photo for each of the screen's. */
  get scale() {
    return this.size[0] / (this.svg.clientWidth || this.size[0]);
  }

  rescale() {
    if (!this.size) return;
    if (this.shown) this.show(...this.shown);
    this.marks.forEach((mark) => this.#place(mark));
  }

  /** Draw windows, [name, crop] each, the chosen one with what it cuts and the rest shaded. */
  show(windows, chosen) {
    this.shown = [windows, chosen];
    const [width, height] = this.size;
    const drawn = [];
    const shaded = windows.find(([name]) => name === chosen)?.[1];
    if (shaded) {
      const { left, top } = shaded;
      const hole = `M${left} ${top}h${shaded.width}v${shaded.height}h${-shaded.width}z`;
      drawn.push(element("path", { class: "shade", "fill-rule": "evenodd", d: `M0 0h${width}v${height}H0z${hole}` }));
    }
    windows.forEach(([, crop]) => drawn.push(rectangle(crop, "window under")));
    windows.forEach(([, crop], i) => drawn.push(rectangle(crop, "window", colour(i))));
    shaded?.cuts?.forEach((cut) => drawn.push(rectangle(cut, "cut")));
    this.layers[0].replaceChildren(...drawn);
    const settled = [];
    windows.forEach(([name, crop], i) => settled.push(this.#label(name, colour(i), crop, settled)));
  }

  /** Write a name into its window's corner, below the names that lie there already; returns its box. */
  #label(name, fill, { left, top }, settled) {
    const size = 14 * this.scale; // of the letters
    const text = element("text", { x: 0.4 * size, y: 1.1 * size, fill });
    const ground = element("rect", { height: 1.5 * size, rx: 0.25 * size });
    const label = element("g", { class: "label", "font-size": size });
    text.textContent = name;
    label.append(ground, text);
    this.layers[0].append(label);
    const width = text.getComputedTextLength() + 0.8 * size;
    const box = {
      left: clamp(left + 0.3 * size, 0, this.size[0] - width), top: top + 0.3 * size, width, height: 1.5 * size,
    };
    for (const other of [...settled].sort((one, next) => one.top - next.top)) {
      if (overlap(box, other)) box.top = other.top + other.height + 0.15 * size;
    }
    ground.setAttribute("width", width);
    label.setAttribute("transform", `translate(${box.left} ${box.top})`);
    return box;
  }

  /** Put a mark on the photo: a focus [x, y], or a box [left, top, width, height]. */
  add(kind, box) {
    const group = element("g", { class: `mark ${kind}`, tabindex: 0, role: "group" });
    group.setAttribute("aria-roledescription", box.length === 2 ? "movable point" : "movable region");
    const mark = { kind, box, group };
    group.append(element(box.length === 2 ? "circle" : "rect", { class: "shape" }));
    group.append(element("circle", { class: "hit" }));
    if (box.length === 4) group.append(element("circle", { class: "corner" }));
    group.addEventListener("pointerdown", (event) => this.#grabbed(event, mark));
    group.addEventListener("keydown", (event) => this.#key(event, mark));
    this.layers[1].append(group);
    this.marks.push(mark);
    this.#place(mark);
    return mark;
  }

  remove(mark) {
    mark.group.remove();
    this.marks = this.marks.filter((other) => other !== mark);
  }

  /** Move a mark, as far as the photo reaches. */
  move(mark, box) {
    const [width, height] = this.size;
    const whole = box.map(Math.round);
    if (whole.length === 4) {
      whole[2] = clamp(whole[2], 1, width);
      whole[3] = clamp(whole[3], 1, height);
    }
    whole[0] = clamp(whole[0], 0, width - (whole[2] ?? 0));
    whole[1] = clamp(whole[1], 0, height - (whole[3] ?? 0));
    mark.box = whole;
    this.#place(mark);
    this.changed(mark);
  }

  #place({ kind, box, group }) {
    const unit = this.scale;
    const [shape, hit, corner] = group.children;
    const [left, top, width, height] = box;
    if (corner) {
      set(shape, { x: left, y: top, width, height });
      set(hit, { cx: left + width, cy: top + height, r: 20 * unit });
      set(corner, { cx: left + width, cy: top + height, r: 7 * unit });
      group.setAttribute("aria-label", `${kind}: ${width} by ${height} at ${left}, ${top}`);
    } else {
      set(shape, { cx: left, cy: top, r: 9 * unit });
      set(hit, { cx: left, cy: top, r: 22 * unit });
      group.setAttribute("aria-label", `${kind}: ${left}, ${top}`);
    }
  }

  #point(event) {
    const { left, top } = this.svg.getBoundingClientRect();
    return [(event.clientX - left) * this.scale, (event.clientY - top) * this.scale];
  }

  #pressed(event) {
    if (!this.size || event.button !== 0 || event.target.closest(".mark")) return;
    const focus = this.marks.find((mark) => mark.kind === "focus") ?? this.add("focus", [0, 0]);
    this.move(focus, this.#point(event));
    if (event.type === "pointerdown") this.#grabbed(event, focus); // a finger would scroll the page
  }

  #grabbed(event, mark) {
    event.preventDefault();
    event.stopPropagation();
    mark.group.focus({ preventScroll: true });
    const target = event.target;
    const resizes = mark.box.length === 4 && !target.classList.contains("shape");
    const [x, y] = this.#point(event);
    const before = mark.box;
    const drag = (moved) => {
      const [toX, toY] = this.#point(moved);
      const by = [toX - x, toY - y];
      this.move(mark, movedBy(before, by, resizes));
    };
    target.setPointerCapture(event.pointerId);
    target.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) {
      target.addEventListener(end, () => target.removeEventListener("pointermove", drag), { once: true });
    }
  }

  #key(event, mark) {
    const step = Math.max(1, Math.round(Math.max(...this.size) / 100));
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in ways) {
      this.move(mark, movedBy(mark.box, ways[event.key], event.shiftKey && mark.box.length === 4));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.changed({ ...mark, box: null, removed: mark });
    } else {
      return;
    }
    event.preventDefault();
  }
}

function movedBy([left, top, ...sides], [x, y], resizes) {
  return resizes ? [left, top, sides[0] + x, sides[1] + y] : [left + x, top + y, ...sides];
}

function rectangle({ left, top, width, height }, kind, stroke) {
  const drawn = element("rect", { class: kind, x: left, y: top, width, height });
  if (stroke) drawn.style.setProperty("--colour", stroke);
  return drawn;
}

const overlap = (one, other) =>
  one.left < other.left + other.width && other.left < one.left + one.width
  && one.top < other.top + other.height && other.top < one.top + one.height;

function element(name, attributes = {}) {
  return set(document.createElementNS(SVG, name), attributes);
}

function set(target, attributes) {
  Object.entries(attributes).forEach(([name, value]) => target.setAttribute(name, value));
  return target;
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
