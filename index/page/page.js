"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const base = data.base || new URL("./", location.href).href.replace(/\/index\.html$/, "/");

// --- choosing a wheel ----------------------------------------------------------------------------

/** Return the numbers of a version, so that 2.20.0+cu125.10 sorts after 2.20.0+cu125.9. */
const numbers = (version) => version.match(/\d+/g).map(Number);
const minor = (version) => numbers(version)[1];

function compareVersions(one, two) {
  const [left, right] = [numbers(one), numbers(two)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    if (left[i] !== right[i]) return (left[i] ?? -1) - (right[i] ?? -1);
  }
  return 0;
}

/** Return what the chosen GPU runs of a wheel, as `gpu_support.runs` says it: this script has no rule of its own. */
const onGpu = (wheel, wish) => data.gpu_code[wheel.gpu_code][data.gpus.indexOf(wish.gpu)];

/** Return why a wheel does not fit a wish, or null. */
function against(wheel, wish) {
  if (wheel.yanked !== null) return "yanked" + (wheel.yanked ? `: ${wheel.yanked}` : "");
  if (wheel.project !== wish.project) return "another package";
  if (wheel.pythons.length && !wheel.pythons.includes(wish.python)) return `for Python ${wheel.pythons.join(", ")}, not ${wish.python}`;
  if (wheel.line !== wish.line) return `for the line ${wheel.line}`;
  if (!wish.gpu || onGpu(wheel, wish).serves) return null;
  const missing = onGpu(wheel, wish).nothing;
  if (!missing.length) return "no GPU code: it would run on the CPU";
  return `no code for compute capability ${wish.gpu.capability} (${wish.gpu.name}): ${missing.join(", ")}`;
}

/** Return the distance in minor versions from the TensorFlow that the runtime's other packages are built for. */
const distance = (wheel, wish) => (wish.runtime ? Math.abs(minor(wheel.version) - minor(wish.runtime.tensorflow)) : 0);

function choose(wish) {
  const reasons = new Map(data.wheels.map((wheel) => [wheel, against(wheel, wish)]));
  const fitting = data.wheels.filter((wheel) => reasons.get(wheel) === null);
  fitting.sort((one, two) => distance(one, wish) - distance(two, wish) || compareVersions(two.version, one.version));
  const [best, ...rest] = fitting;
  for (const wheel of rest) {
    const further = distance(wheel, wish) > distance(best, wish);
    reasons.set(wheel, further ? `further from TensorFlow ${wish.runtime.tensorflow}, for which this runtime's packages are built` : `older than ${best.version}`);
  }
  reasons.delete(best);
  return { best, reasons };
}

// --- the form ------------------------------------------------------------------------------------

const fields = ["where", "line", "gpu", "project"];

function wishOf(values) {
  const [kind, name] = values.where.split(" ");
  const runtime = kind === "colab" ? data.runtimes.find((one) => one.name === name) : null;
  return {
    runtime,
    python: runtime ? runtime.python : name,
    gpu: data.gpus.find((one) => one.name === values.gpu) ?? null,
    line: values.line,
    project: values.project,
  };
}

const valuesNow = () => Object.fromEntries(fields.map((field) => [field, at(field).value]));

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function group(label, options) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...options);
  return made;
}

function fillForm() {
  const runtimes = data.runtimes.map((one, i) => option(`colab ${one.name}`, `Colab ${one.name}${i ? "" : ", current"} (Python ${one.python})`));
  if (runtimes.length) at("where").append(group("Colab runtimes", runtimes));
  at("where").append(group("Any Linux", data.pythons.map((one) => option(`python ${one}`, `Python ${one}`))));
  at("gpu").append(...data.gpus.map((one) => option(one.name, `${one.name} (${one.capability})`)), option("", "none"));
  at("line").append(...data.lines.map((one) => option(one.name, one.cuda ? `${one.name}: CUDA ${one.cuda}` : `${one.name}: no CUDA`)));
  at("project").append(...data.projects.map((one) => option(one, one)));
}

// --- the result ----------------------------------------------------------------------------------

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Return whether a command needs [and-cuda]: Colab has the CUDA libraries, elsewhere this extra installs them. */
const bringsCuda = (wheel, wish) => !wish.runtime && wish.gpu && wheel.project === "tensorflow";

function commandFor(wheel, wish) {
  const uv = document.querySelector("input[name=tool]:checked").value === "uv";
  const words = [uv ? "uv pip install" : "pip install"];
  if (uv && wish.runtime) words.push("--system");
  if (wish.runtime && at("hold").checked) words.push(`-c ${base}${wish.runtime.constraints}`);
  words.push(`--extra-index-url ${base}${wheel.line}/`, `"${wheel.project}${bringsCuda(wheel, wish) ? "[and-cuda]" : ""}==${wheel.version}"`);
  return words.join(" ");
}

function notesFor(wheel, wish) {
  const notes = [];
  if (wish.gpu) {
    const { runs, native, jit } = onGpu(wheel, wish);
    const facts = runs.map(([kind, found]) => `${kind} ${found}`);
    notes.push(element("li", `${native ? "Native GPU code for" : "On"} ${wish.gpu.name} (compute capability ${wish.gpu.capability}): ${facts.join(", ")}.`));
    if (jit.length) notes.push(element("li", `The driver compiles the PTX (${jit.join(", ")}) on first use: seconds to minutes, and it may fail.`, "caution"));
  }
  if (wish.runtime && distance(wheel, wish)) {
    const names = wish.runtime.companions.join(", ") || "other packages";
    notes.push(element("li", `The runtime has TensorFlow ${wish.runtime.tensorflow}, and packages built for it will not work with this version: ${names}.`, "caution"));
  }
  if (bringsCuda(wheel, wish)) notes.push(element("li", "[and-cuda] also installs the CUDA libraries, about 2 GB."));
  if (wish.runtime) notes.push(element("li", "In Colab, restart the session after installing, to load the new version."));
  return notes;
}

/** Return choices that differ in one field and have a wheel. */
function waysOut(values) {
  const found = [];
  for (const field of fields) {
    for (const { value, textContent } of at(field).options) {
      if (value !== values[field] && choose(wishOf({ ...values, [field]: value })).best) {
        found.push({ field, value, text: field === "gpu" && !value ? "without a GPU" : textContent });
        if (field === "where") break;
      }
    }
  }
  return found.slice(0, 4);
}

function showWays(values) {
  const box = element("div", "Available instead:", "ways");
  for (const { field, value, text } of waysOut(values)) {
    const button = element("button", text);
    button.type = "button";
    button.addEventListener("click", () => {
      at(field).value = value;
      update();
      at(field).focus();
    });
    box.append(button);
  }
  at("ways").replaceChildren(...(box.children.length ? [box] : []));
}

function update() {
  const values = valuesNow();
  const wish = wishOf(values);
  const { best, reasons } = choose(wish);
  at("hold-label").hidden = !wish.runtime;
  at("panel").hidden = at("evidence").hidden = !best;
  at("notes").replaceChildren(...(best ? notesFor(best, wish) : []));
  at("ways").replaceChildren();
  if (best) {
    at("command").textContent = commandFor(best, wish);
    at("verdict").textContent = `${best.project} ${best.version} for Python ${wish.python}, ${best.megabytes} MB`;
    at("evidence").textContent = `${best.evidence}.`;
  } else {
    at("verdict").textContent = "No wheel fits this choice.";
    showWays(values);
  }
  const rows = [...reasons].map(([wheel, reason]) => {
    const row = element("li", "");
    row.append(element("b", `${wheel.project} ${wheel.version} ${wheel.tag}`), element("span", reason));
    return row;
  });
  at("others").hidden = !rows.length;
  at("others-count").textContent = best ? `Why not the other ${rows.length}` : `Why none of the ${rows.length}`;
  at("rejected").replaceChildren(...rows);
}

// --- copying -------------------------------------------------------------------------------------

let fading = 0;

function tell(text) {
  at("toast").textContent = text;
  at("toast").classList.add("on");
  clearTimeout(fading);
  fading = setTimeout(() => at("toast").classList.remove("on"), 2500);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`Copied ${what}`);
  } catch {
    tell(`Could not copy: select the text instead`);
  }
}

// --- the table -----------------------------------------------------------------------------------

const body = document.querySelector("#table tbody");
const rows = [...body.rows];
const haystacks = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

function search() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => haystacks.get(row).includes(word));
    shown += row.hidden ? 0 : 1;
  }
  at("count").textContent = words.length ? `${shown} of ${rows.length} wheels` : `${rows.length} ${rows.length === 1 ? "wheel" : "wheels"}`;
  at("nothing").hidden = shown > 0 || !rows.length;
}

function sortBy(header) {
  const up = header.getAttribute("aria-sort") !== "ascending";
  const column = header.cellIndex;
  const key = (row) => row.cells[column].dataset.sort;
  const compare = new Intl.Collator("en", { numeric: header.dataset.key !== "hash" }).compare;
  rows.sort((one, two) => (up ? 1 : -1) * compare(key(one), key(two)));
  body.append(...rows);
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
}

function makeSortable() {
  for (const header of document.querySelectorAll("#table thead th")) {
    const button = element("button", header.textContent);
    button.type = "button";
    button.addEventListener("click", () => sortBy(header));
    header.replaceChildren(button);
  }
}

// --- start ---------------------------------------------------------------------------------------

if (!data.base) {
  for (const code of document.querySelectorAll("code.static")) code.textContent = code.textContent.replace("ADDRESS/", base);
  at("address-hint").hidden = true;
}
makeSortable();
at("search-label").hidden = false;
at("search").addEventListener("input", search);
at("copy").addEventListener("click", () => copy(at("command").textContent, "the command"));
body.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-copy]");
  if (button) copy(button.dataset.copy, "the sha256");
});
if (data.wheels.length) {
  fillForm();
  at("chooser").hidden = false;
  at("result").addEventListener("change", update);
  at("fields").addEventListener("change", update);
  update();
}
