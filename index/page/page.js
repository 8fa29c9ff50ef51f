// --- the form --------------------------------------------------------------------------------------------

const listing = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const base = listing.base_url || new URL("./", location.href).href;
const picked = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;
let driver = null; // as pasted, for the GPU that was pasted with it
let other = null; // the alternative whose command is shown

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Return the GPU that is chosen, null for none: an entry of the listing, or a capability alone. */
function gpuNow() {
  const value = at("gpu")?.value || picked("gpu");
  if (value === "none") return null;
  const machine = at("gpu")?.selectedOptions[0].dataset.machine ?? "x86_64";
  return value.includes(".") ? { name: null, capability: value, machine } : { ...listing.gpus[value], machine };
}

/** Return what is chosen as an environment of the selector. */
function environmentNow() {
  const colab = picked("where") === "colab";
  const runtime = colab ? listing.runtimes.find((one) => one.name === picked("runtime")) : null;
  const gpu = gpuNow();
  return {
    python: runtime ? minorOf(runtime.python) : picked("python"),
    glibc: runtime?.glibc ?? null,
    driver: driver ?? runtime?.driver ?? null,
    gpu: gpu?.capability ?? null,
    gpu_name: gpu?.name ?? null,
    runtime: runtime?.name ?? null,
    colab,
    cuda: colab || at("cuda").checked,
    installed: runtime ? { tensorflow: runtime.tensorflow } : null,
    machine: gpu?.machine ?? "x86_64",
    venv: !colab,
    notebook: colab,
  };
}

const chooseFor = (environment) => select(environment, listing, { project: picked("project") ?? listing.wheels[0].project, base, installer: picked("tool") });

/** Show what belongs to the chosen place, and keep the GPU where the place has no button for it. */
function followPlace() {
  const where = picked("where");
  for (const one of document.querySelectorAll("[data-where]")) one.hidden = one.dataset.where !== where;
  at("gpu")?.classList.toggle("chosen", Boolean(at("gpu").value));
  if (at("ask-gpu")) at("ask-gpu").textContent = `${where === "colab" ? "!" : ""}nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader`;
  const radio = document.querySelector("input[name=gpu]:checked");
  if (!radio?.closest("[hidden]")) return;
  if (!at("gpu").value) at("gpu").value = radio.value;
  at("gpu").classList.add("chosen");
  radio.checked = false;
}

/** Let the list of other GPUs and the buttons stand for one choice: what is chosen in one clears the other. */
function followGpu(target) {
  driver = null;
  if (target.id !== "gpu") {
    if (at("gpu")) at("gpu").value = "";
    return;
  }
  const radio = document.querySelector(target.value ? "input[name=gpu]:checked" : "input[name=gpu]:not([hidden] *)");
  if (radio) radio.checked = !target.value;
}

/** Choose the GPU that the answer of nvidia-smi names, or a capability ("12.0", "sm_120"). */
function readAnswer(text) {
  const { capability, number, driver: said } = gpuIn(text, listing.gpus);
  at("read").textContent = capability || !text.trim() ? "" : "No compute capability in it, which looks like 7.5, and no GPU known here.";
  if (!capability) return;
  if (number === null && ![...at("gpu").options].some((one) => one.value === capability)) at("gpu").lastElementChild.append(new Option(capability, capability));
  at("gpu").value = number ?? capability;
  followGpu(at("gpu"));
  driver = said;
  at("read").textContent = `${number === null ? "C" : `${listing.gpus[number].name}, c`}ompute capability ${capability}${driver ? `, driver ${driver}` : ""}.`;
  update();
}

// --- the answer ------------------------------------------------------------------------------------------

/** Return the command with what the page can add to it: a runtime's constraints. */
function shownCommand(command, environment) {
  const runtime = listing.runtimes.find((one) => one.name === environment.runtime);
  return runtime && at("hold").checked ? command.replace(" --extra-index-url", ` -c ${base}${runtime.constraints} --extra-index-url`) : command;
}

const cudaOf = (wheel) => listing.lines.find((one) => one.name === wheel?.line)?.cuda ?? null;

/** Return what one's own machine must have, which the page does not ask for. */
function needsOf(wheel, environment) {
  if (environment.colab) return [];
  const [[driver], glibc, needs] = [oldestDriver(wheel, wishOf(environment, listing, wheel.project)), glibcOf(wheel), []];
  if (glibc) needs.push(`glibc ${glibc.join(".")}`);
  if (environment.gpu && driver) needs.push(`NVIDIA driver ${driver}`);
  return needs.length ? [`Needs at least ${needs.join(" and ")}.`] : [];
}

function verdictOf({ wheel, official, command }) {
  if (!wheel) return official ? (command ? "The official TensorFlow is the right one here." : "No wheel here is better than what you have.") : "No wheel here fits.";
  const cuda = cudaOf(wheel);
  return `${wheel.project} ${wheel.version}, ${megabytes(wheel)}${cuda ? `, CUDA ${cuda}` : ""}`;
}

function button(text, onClick) {
  const made = element("button", text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/** Return buttons: other wheels that would do, and where nothing fits, runtimes and Pythons that have one. */
function waysOf(choice, environment) {
  const ways = choice.alternatives.map((one) => {
    if (one === other) return button(choice.wheel ? `Back to ${choice.wheel.version}, ${megabytes(choice.wheel)}` : "Back", () => show(choice, environment, null));
    return button(`${one.why[0].toUpperCase()}${one.why.slice(1)}`, () => show(choice, environment, one));
  });
  if (choice.wheel || choice.official) return ways;
  const name = environment.colab ? "runtime" : "python";
  for (const input of document.querySelectorAll(`input[name=${name}]`)) {
    const runtime = listing.runtimes.find((one) => one.name === input.value);
    const change = environment.colab ? { runtime: input.value, python: minorOf(runtime.python), glibc: runtime.glibc, installed: null } : { python: input.value };
    if (!chooseFor({ ...environment, ...change }).wheel) continue;
    ways.push(button(`${environment.colab ? "Runtime" : "Python"} ${input.value}`, () => { input.checked = true; update(); input.focus(); }));
  }
  return ways;
}

function show(choice, environment, alternative) {
  other = alternative;
  const wheel = alternative?.wheel ?? choice.wheel;
  const command = alternative?.command ?? choice.command;
  const environmentOfIt = alternative && !choice.wheel ? { ...environment, gpu: null } : environment;
  at("verdict").textContent = verdictOf({ ...choice, wheel });
  at("advice").hidden = !choice.advice || Boolean(alternative);
  at("advice").replaceChildren(...(choice.advice ?? "").split("`").map((part, i) => (i % 2 ? element("code", part) : part)));
  at("panel").hidden = !command;
  if (command) at("command").textContent = shownCommand(command, environment);
  at("hold-label").hidden = !environment.runtime || !wheel;
  at("cuda-label").hidden = environment.colab || environmentOfIt.gpu === null || !Object.keys(wheel?.gpu_code ?? { official: [] }).length;
  at("cuda-words").textContent = `CUDA ${cudaOf(wheel)?.split(".")[0] ?? 12} and cuDNN 9 are installed`;
  document.querySelector(".options").hidden = at("hold-label").hidden && at("cuda-label").hidden;
  const notes = alternative && wheel ? notesOf(wheel, wishOf(environmentOfIt, listing, wheel.project), placeOf(environmentOfIt, base, picked("tool"), linesOf(listing))) : [...choice.notes];
  if (wheel) notes.push(...needsOf(wheel, environmentOfIt));
  notes.sort((one, two) => (classOf(two) === "good") - (classOf(one) === "good"));
  at("notes").replaceChildren(...notes.map((note) => element("li", note, classOf(note))), ...(wheel ? [element("li", evidenceOf(wheel), "evidence")] : []));
  const ways = waysOf(choice, environment);
  const box = element("div", other ? "" : choice.wheel ? "Smaller:" : "Instead:", "ways");
  box.append(...ways);
  at("alternatives").replaceChildren(...(ways.length ? [box] : []));
  showSnippets(wheel, environmentOfIt);
  showRejected(choice);
  const faults = listing.runtimes.find((one) => one.name === environment.runtime)?.faults ?? [];
  at("faults").hidden = !faults.length;
  at("faults-list").replaceChildren(...faults.map((fault) => element("li", fault)));
}

/** Return how a note is shown: what fits in green, what may go wrong in amber. */
function classOf(note) {
  if (note.startsWith("Fits ")) return "good";
  return /compiles the PTX|Changes other|may stop working|Not checked/.test(note) ? "caution" : "";
}

const evidenceOf = (wheel) => document.querySelector(`tr[data-file="${CSS.escape(wheel.file)}"] .tested`)?.dataset.evidence ?? "";

function showSnippets(wheel, environment) {
  at("project-files").hidden = !wheel;
  if (!wheel) return;
  const name = `requirements-${wheel.project}-cp${environment.python.replace(".", "")}.txt`;
  const lock = [...document.querySelectorAll(".files a")].find((one) => one.textContent === name && one.getAttribute("href").includes(`/${wheel.line}/${encodeURIComponent(wheel.version)}/`));
  const extra = extraOf(placeOf(environment, base, "pip", linesOf(listing)), wheel);
  const found = snippetsOf({ wheel, extra, index: `${base}${wheel.line}/`, python: environment.python, lock: lock ? new URL(lock.getAttribute("href"), base).href : "" });
  const kind = picked("kind");
  at("snippet").textContent = found[kind].text;
  at("snippet-hint").textContent = found[kind].hint;
}

function showRejected({ wheel, rejected }) {
  const rows = rejected.map(([file, reason]) => {
    const row = element("li", "");
    const [project, version, python] = file.split("-");
    row.append(element("b", `${project} ${version} ${python}`), element("span", reason));
    row.title = file;
    return row;
  });
  at("others").hidden = !rows.length;
  at("others-count").textContent = wheel ? `Why not the other ${rows.length}` : `Why none of the ${rows.length}`;
  at("rejected").replaceChildren(...rows);
}

function update() {
  followPlace();
  const environment = environmentNow();
  show(chooseFor(environment), environment, null);
}

// --- copying ---------------------------------------------------------------------------------------------

/** Copy a text, or select it where there is no clipboard; the button says which for a while. */
async function copy(pressed, text, shown) {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(shown);
    said = "Selected";
  }
  at("told").textContent = said === "Copied" ? "Copied" : "Selected: copy it with Ctrl+C";
  const label = pressed.querySelector(".short") ?? pressed;
  label.dataset.label ??= label.textContent;
  label.textContent = said;
  pressed.classList.add("done");
  clearTimeout(pressed.timer);
  pressed.timer = setTimeout(() => {
    label.textContent = label.dataset.label;
    pressed.classList.remove("done");
    at("told").textContent = "";
  }, 2500);
}

document.addEventListener("click", ({ target }) => {
  const pressed = target.closest("button[data-copies], button[data-copy]");
  if (!pressed) return;
  const shown = at(pressed.dataset.copies) ?? pressed.querySelector(".full");
  copy(pressed, shown.textContent, shown);
});

// --- the list of wheels ----------------------------------------------------------------------------------

const groups = [...document.querySelectorAll(".group")].map((group) => ({
  group,
  rows: [...group.querySelectorAll("tbody tr")].map((row) => ({ row, text: `${group.querySelector(".title").textContent} ${row.textContent}`.toLowerCase() })),
}));

function search() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let [shown, all] = [0, 0];
  for (const { group, rows } of groups) {
    let here = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      here += row.hidden ? 0 : 1;
    }
    group.hidden = !here;
    shown += here;
    all += rows.length;
  }
  at("count").textContent = `${words.length ? `${shown} of ` : ""}${all} ${all === 1 ? "wheel" : "wheels"}`;
  at("nothing").hidden = shown > 0 || !all;
}

// --- start -----------------------------------------------------------------------------------------------

for (const link of document.querySelectorAll("a.address")) link.replaceWith(new URL(link.getAttribute("href"), base).href.replace(/index\.html$/, ""));
at("address-hint")?.remove();
at("search-label").hidden = false;
at("search").addEventListener("input", search);
if (listing.wheels.length) {
  at("all-commands").open = false;
  at("chooser").hidden = false;
  at("ask").addEventListener("submit", (event) => event.preventDefault());
  at("ask").addEventListener("change", ({ target }) => {
    if (target.id === "smi") return;
    if (target.name === "gpu" || target.id === "gpu") followGpu(target);
    update();
  });
  at("smi")?.addEventListener("input", ({ target }) => readAnswer(target.value));
  at("result").addEventListener("change", update);
  update();
}
