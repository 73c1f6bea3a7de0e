/** The page of the API, written from its OpenAPI description. */

const description = await (await fetch("openapi.json")).json();
const schemas = description.components.schemas;

function element(name, text = "", ...children) {
  const made = document.createElement(name);
  text.split("`").forEach((part, i) => made.append(i % 2 ? element("code", part) : part));
  made.append(...children);
  return made;
}

function table(titles, rows) {
  const head = element("tr", "", ...titles.map((title) => element("th", title)));
  const body = rows.map((cells) => element("tr", "", ...cells.map((cell) => element("td", String(cell)))));
  return element("table", "", element("thead", "", head), element("tbody", "", ...body));
}

function kind(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.type === "array") return schema.items ? `list of ${kind(schema.items)}` : "list";
  if (schema.additionalProperties) return `object of ${kind(schema.additionalProperties)}`;
  return schema.type ?? `\`${schema.const}\``;
}

function operation(path, method, { summary, description: text, parameters = [], requestBody, responses }) {
  const section = element("section", "", element("h2", `${method.toUpperCase()} ${path}: ${summary}`));
  if (text) section.append(element("p", text));
  if (requestBody) {
    section.append(element("h3", "Body"), element("p", requestBody.description));
    section.append(element("p", Object.keys(requestBody.content).map((type) => `\`${type}\``).join(", ")));
  }
  if (parameters.length) {
    section.append(element("h3", "Parameters"), table(
      ["name", "what", "type", "default"],
      parameters.map((each) => [`\`${each.name}\``, each.description, kind(each.schema), each.schema.default ?? ""]),
    ));
  }
  section.append(element("h3", "Answers"), table(
    ["status", "what", "type"],
    Object.entries(responses).map(([status, { description: what, content = {} }]) => [
      status, what, Object.entries(content).map(([type, { schema }]) => `\`${type}\` ${schema ? kind(schema) : ""}`).join(", "),
    ]),
  ));
  return section;
}

function schema(name, { description: text, properties, required }) {
  const section = element("section", "", element("h2", name));
  if (text) section.append(element("p", text));
  section.append(table(
    ["name", "what", "type"],
    Object.entries(properties).map(([key, value]) => [
      `\`${key}\`${required.includes(key) ? "" : " (optional)"}`, value.description ?? "", kind(value),
    ]),
  ));
  return section;
}

const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => operation(path, method, described)));
const types = Object.entries(schemas).map(([name, described]) => schema(name, described));
document.getElementById("operations").append(...operations, ...types);
