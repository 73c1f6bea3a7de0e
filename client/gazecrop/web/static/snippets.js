/** What the page asks for, as code to copy. */

import { DEFAULTS, parameters, readable } from "./front.js";

export function snippet(language, asked, answer) {
  return { curl, python, json }[language](asked, answer);
}

function curl(asked) {
  const url = new URL("crops", location.href).href;
  return `curl --data-binary @photo.jpg \\\n    '${url}?${readable(parameters(asked))}'\n`;
}

function python(asked) {
  const options = [];
  if (asked.focus) options.push(`focus=${tuple(asked.focus)}`);
  if (asked.keep.length) options.push(`keep=[${asked.keep.map(tuple).join(", ")}]`);
  if (asked.avoid.length) options.push(`avoid=[${asked.avoid.map(tuple).join(", ")}]`);
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (asked[name] !== value) options.push(`${name}=${asked[name]}`);
  }
  const ratios = `[${asked.ratios.map((ratio) => `"${ratio}"`).join(", ")}]`;
  const call = ['"photo.jpg"', ratios, ...options].map((part) => `        ${part},\n`).join("");
  return `import gazecrop

with gazecrop.Client("localhost:8001") as client:
    crops = client.crop(
${call}    )

for crop in crops:
    print(crop.to_dict())
`;
}

function json(asked, { size, salient_point, crops, candidates }) {
  return `${JSON.stringify({ size, salient_point, crops, candidates }, null, 2)}\n`;
}

const tuple = (numbers) => `(${numbers.join(", ")})`;
