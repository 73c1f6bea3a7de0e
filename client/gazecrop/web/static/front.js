/** Requests to the front that serves this page. */

export const DEFAULTS = { zoom: 1, tolerance: 0.02 };

/** What is asked, as the parameters of POST /crops; what is the default is left out. */
export function parameters(asked) {
  const query = new URLSearchParams();
  asked.ratios.forEach((ratio) => query.append("ratio", ratio));
  if (asked.focus) query.append("focus", asked.focus);
  asked.keep.forEach((box) => query.append("keep", box));
  asked.avoid.forEach((box) => query.append("avoid", box));
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (asked[name] !== value) query.append(name, asked[name]);
  }
  return query;
}

/** The same for people to read. */
export function readable(query) {
  return String(query).replaceAll("%3A", ":").replaceAll("%2C", ",");
}

/** Windows of a photo (a File), or of a stored saliency (any other object). */
export async function crops(source, query) {
  const isPhoto = source instanceof Blob;
  const response = await fetch(`crops?${query}`, {
    method: "POST",
    headers: { "Content-Type": isPhoto ? source.type || "application/octet-stream" : "application/json" },
    body: isPhoto ? source : JSON.stringify(source),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}
