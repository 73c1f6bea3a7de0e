// Windows of a photo, by Node.js alone: node crops.mjs PHOTO [SERVER]
// The body is a JSON header, then the bytes that it announces: the photo with its length before it.
import { readFile } from "node:fs/promises";

const [path, server = "http://localhost:8000"] = process.argv.slice(2);
const ratios = { "16:9": 16 / 9, "1:1": 1, "4:5": 4 / 5 };

const photo = await readFile(path);
const length = Buffer.alloc(4);
length.writeUInt32LE(photo.length);
const header = Buffer.from(JSON.stringify({
  inputs: [
    { name: "IMAGE", shape: [1, 1], datatype: "BYTES", parameters: { binary_data_size: 4 + photo.length } },
    { name: "RATIOS", shape: [1, 3], datatype: "FP32", data: Object.values(ratios) },
  ],
  outputs: [{ name: "RECTS" }, { name: "KEPT" }],
}));

const response = await fetch(`${server}/v2/models/crops/infer`, {
  method: "POST",
  headers: { "Inference-Header-Content-Length": String(header.length) },
  body: Buffer.concat([header, length, photo]),
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.error);
const { RECTS: rects, KEPT: kept } = Object.fromEntries(answer.outputs.map(({ name, data }) => [name, data]));
Object.keys(ratios).forEach((ratio, i) => {
  console.log(ratio, ...rects.slice(4 * i, 4 * i + 4), kept[i].toFixed(3));
});
