/** A map drawn over the photo: cool where its values are low, hot where they are high. */

const STOPS = [[40, 0, 90], [200, 20, 90], [255, 120, 30], [255, 235, 90]];
const SCALE = 8; // pixels of the canvas for each cell: browsers smooth what lies between

/** The values of a stored map, row by row. */
export function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

export function draw(canvas, values, [rows, columns]) {
  const cells = new OffscreenCanvas(columns, rows);
  const image = new ImageData(columns, rows);
  const most = values.reduce((a, b) => Math.max(a, b), 1e-12);
  values.forEach((value, i) => image.data.set(colour(Math.sqrt(value / most)), 4 * i));
  cells.getContext("2d").putImageData(image, 0, 0);
  canvas.width = columns * SCALE;
  canvas.height = rows * SCALE;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(cells, 0, 0, canvas.width, canvas.height);
}

function colour(level) {
  const place = level * (STOPS.length - 1);
  const before = Math.min(Math.floor(place), STOPS.length - 2);
  const mixed = STOPS[before].map((from, i) => from + (STOPS[before + 1][i] - from) * (place - before));
  return [...mixed, 255 * level];
}
