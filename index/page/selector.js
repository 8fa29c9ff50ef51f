"use strict";

// The selector of scripts/tfwheel/doctor/ (selector, wheel_rules, ways_out, choice, gpu_rules), function by function: one
// table of cases (tests/data/selector_cases.json) holds both to the same answers. Pure: no document, no data of its own.

const OLDEST_DRIVER = { 12: "525.60.13", 13: "580.65.06" };
const STAGES = ["a", "b", "rc"]; // of a pre-release, in the order of PEP 440
const OLD_NAMES = { manylinux2014: [2, 17], manylinux2010: [2, 12], manylinux1: [2, 5] };
const OFFICIAL = "2.20.0";
const OFFICIAL_CUDA = "12";
const JIT_TIME = `TensorFlow's log says that its kernels "could take 30 minutes or longer"; this project has not measured it.`;
const OFFICIAL_WHEEL = { project: "tensorflow", version: OFFICIAL };
const OFFICIAL_PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"];
const OFFICIAL_CODE = {
  fatbin: ["sm_60", "sm_70", "sm_80", "sm_89", "sm_90", "compute_90"],
  generated: ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90a"],
};
const FEW_GPUS = 2;
const KINDS = { fatbin: "big kernels", generated: "generated kernels", ops: "custom ops" };
const [NOTHING, NONE, JIT] = ["nothing", "none", "PTX (JIT)"];

// --- what a GPU runs -----------------------------------------------------------------------------

/** Compare arrays, numbers and strings as Python compares tuples. */
function compare(one, two) {
  if (!Array.isArray(one)) return one < two ? -1 : Number(one > two);
  for (let i = 0; i < Math.min(one.length, two.length); i++) {
    const found = compare(one[i], two[i]);
    if (found) return found;
  }
  return one.length - two.length;
}

// Many wheels have the same code, and every choice asks again.
const fits = new Map();
const servedBy = new WeakMap();

/** Return what a GPU runs of some images: "SASS", "SASS sm_80", "PTX (JIT)" or "nothing". */
function fit(images, gpu) {
  const key = `${images} ${gpu}`;
  if (!fits.has(key)) fits.set(key, fitOf(images, gpu));
  return fits.get(key);
}

function fitOf(images, [major, minor]) {
  const native = [];
  let compiled = false;
  for (const image of images) {
    const match = /^(sm|compute)_(\d+)(\d)([af]?)$/.exec(image);
    if (!match) continue;
    const [kind, high, low, mark] = [match[1], Number(match[2]), Number(match[3]), match[4]];
    if (mark && !(high === major && (low === minor || (mark === "f" && low < minor)))) continue;
    if (kind === "sm" && high === major && low <= minor) native.push(low);
    if (kind === "compute" && compare([high, low], [major, minor]) <= 0) compiled = true;
  }
  if (!native.length) return compiled ? JIT : NOTHING;
  const best = Math.max(...native);
  return best === minor ? "SASS" : `SASS sm_${major}${best}`;
}

/** Return what a GPU runs of each kind of code; "none" of a kind that the wheel lacks. */
function runs(code, gpu) {
  return Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, code[kind]?.length ? fit(code[kind], gpu) : NONE]));
}

function serves(code, gpu) {
  const answers = Object.values(runs(code, gpu));
  return !answers.includes(NOTHING) && answers.some((answer) => answer !== NONE);
}

// --- rules: what is against a wheel --------------------------------------------------------------

const RULES = [
  (wheel, wish) => (wheel.project === wish.project ? null : `another package: ${wheel.project}`),
  otherMachine,
  (wheel, wish) => (!wheel.python.length || wheel.python.includes(wish.python) ? null : `for Python ${wheel.python.join(", ")}, not ${wish.python}`),
  oldGlibc,
  (wheel) => (wheel.yanked === null ? null : wheel.yanked ? `yanked: ${wheel.yanked}` : "yanked"),
  breaks,
  noGpuCode,
  oldDriver,
];

/** Return the first reason why a wheel does not fit a wish, null if it does. */
function against(wheel, wish) {
  for (const rule of RULES) {
    const reason = rule(wheel, wish);
    if (reason) return reason;
  }
  return null;
}

function otherMachine(wheel, wish) {
  const fits = (platform) => platform === "any" || platform.endsWith(`_${wish.machine}`);
  if (!wheel.platforms.length || wheel.platforms.some(fits)) return null;
  return `for x86_64 Linux, and this machine is ${wish.machine}`;
}

function oldGlibc(wheel, wish) {
  const needed = glibcOf(wheel);
  if (!needed || !wish.glibc || compare(numbers(wish.glibc).slice(0, 2), needed) >= 0) return null;
  return `needs glibc ${needed.join(".")}, and this machine has ${wish.glibc}`;
}

function breaks(wheel, wish) {
  const found = wish.runtime ? wheel.fit[wish.runtime.name] : null;
  if (found?.verdict !== "breaks") return null;
  return `breaks runtime ${wish.runtime.name}: ${found.reasons[0] ?? "other packages would stop working"}`;
}

function noGpuCode(wheel, wish) {
  if (!wish.gpu) return null;
  const missing = Object.entries(runs(wheel.gpu_code, wish.gpu)).filter(([, answer]) => answer === NOTHING);
  if (missing.length) return `no code for ${gpuName(wish)}: ${missing.map(([kind]) => KINDS[kind]).join(", ")}`;
  return serves(wheel.gpu_code, wish.gpu) ? null : "no GPU code: it would run on the CPU";
}

function oldDriver(wheel, wish) {
  const [needed, major] = oldestDriver(wheel, wish);
  if (!wish.gpu || !wish.driver || !needed || compare(numbers(wish.driver), numbers(needed)) >= 0) return null;
  return `CUDA ${major} needs driver ${needed} or newer, and this machine has ${wish.driver}`;
}

// --- order: which of those that fit --------------------------------------------------------------

/** Return the sort key of a wheel that fits, the best first. */
function rank(wheel, wish) {
  const local = wheel.version.slice(publicOf(wheel).length);
  const staged = publicOf(wheel).replace(/a|b|rc/, (kind) => `.${STAGES.indexOf(kind)}.`);
  return [
    distance(wheel, wish),
    staged === publicOf(wheel) ? 0 : 1,
    leftToDo(wheel, wish),
    numbers(staged).map((number) => -number),
    wish.gpu ? -served(wheel, wish).length : 0,
    numbers(local).map((number) => -number),
    wheel.file,
  ];
}

/** Return wheels that fit with their ranks, the best first. */
function ranked(wheels, wish) {
  return wheels.map((wheel) => [rank(wheel, wish), wheel]).sort(([one], [two]) => compare(one, two));
}

function distance(wheel, wish) {
  if (wish.anchor === null) return 0;
  const [one, other] = [numbers(wheel.version), numbers(wish.anchor)];
  return Math.abs(one[0] - other[0]) * 100 + Math.abs(one[1] - other[1]);
}

function leftToDo(wheel, wish) {
  if (!wish.gpu) return Object.keys(wheel.gpu_code).length ? 1 : 0;
  return Object.values(runs(wheel.gpu_code, wish.gpu)).includes(JIT) ? 1 : 0;
}

/** Return the names of the GPUs of the listing that a wheel serves. */
function served(wheel, wish) {
  if (!servedBy.has(wheel)) servedBy.set(wheel, wish.gpus.filter((one) => serves(wheel.gpu_code, capabilityOf(one.capability) ?? [0, 0])).map((one) => one.name));
  return servedBy.get(wheel);
}

/** Return why a wheel that fits, of rank `one`, is not the best one, of rank `two`: by the first part that differs. */
function worse(one, two, best, wish) {
  const reasons = [
    `further from TensorFlow ${wish.anchor}, which the other packages here are built for`,
    `no final release, unlike ${best.version}`,
    wish.gpu ? `the driver would have to compile its PTX, and ${best.version} is native` : "its GPU code is of no use here, and makes it larger",
    `older than ${best.version}`,
    `for fewer GPUs than ${best.version}`,
    `older than ${best.version}`,
    `the same as ${best.file}`,
  ];
  return reasons.find((_, i) => compare(one[i], two[i]) !== 0);
}

// --- words ---------------------------------------------------------------------------------------

/** Return where the command is typed, with the words before the name of the package. */
function placeOf(environment, base, installer, lines) {
  const inner = Boolean(environment.colab && environment.venv);
  const cell = Boolean(environment.notebook) && !inner;
  const system = installer === "uv" && !environment.venv && (environment.colab || cell) ? " --system" : "";
  const sign = cell ? (installer === "uv" ? "!" : "%") : "";
  const words = `${sign}${installer === "uv" ? "uv pip install" : "pip install"}${system}`;
  const gpu = (environment.gpu ?? null) !== null;
  return { inner, cell, words, base, gpu, lines, cuda: environment.cuda ?? false, colab: Boolean(environment.colab), installed: environment.installed ?? {} };
}

/** Return whether the libraries of a CUDA ("12.5.1") are there; of an unknown one (""), whether any are. */
function hasCuda({ cuda: there }, cuda) {
  if (!Array.isArray(there)) return there;
  return cuda ? there.includes(cuda.split(".")[0]) : there.length > 0;
}

const needsCuda = (where, wheel) => where.gpu && wheel.project === "tensorflow" && Object.keys(wheel.gpu_code).length > 0;
const bringsCuda = (where, wheel) => needsCuda(where, wheel) && !hasCuda(where, where.lines[wheel.line] ?? "");
const has = (where, wheel) => where.installed[wheel.project] === wheel.version;
const extraOf = (where, wheel) => (bringsCuda(where, wheel) ? "[and-cuda]" : "");
const commandOf = (where, wheel) => `${where.words} --extra-index-url ${where.base}${wheel.line}/ "${wheel.project}${extraOf(where, wheel)}==${wheel.version}"`;
const officialCommand = (where) => `${where.words} "tensorflow${where.gpu && !hasCuda(where, OFFICIAL_CUDA) ? "[and-cuda]" : ""}==${OFFICIAL}"`;

/** Return what to know of the chosen wheel before installing it, a sentence each. */
function notesOf(wheel, wish, where) {
  const notes = [];
  if (has(where, wheel)) notes.push(`${wheel.project} ${wheel.version} is installed already.`);
  if (wish.gpu) {
    const answers = Object.entries(runs(wheel.gpu_code, wish.gpu)).filter(([, answer]) => answer !== NONE);
    notes.push(`${gpuName(wish)} runs ${answers.map(([kind, answer]) => `${KINDS[kind]}: ${answer}`).join(", ")}.`);
    const compiled = answers.filter(([, answer]) => answer === JIT).map(([kind]) => KINDS[kind]);
    if (compiled.length) notes.push(`The driver compiles the PTX (${compiled.join(", ")}) on first use. ${JIT_TIME}`);
  }
  notes.push(...fitNotes(wheel, wish));
  if (bringsCuda(where, wheel)) notes.push("[and-cuda] also installs CUDA's libraries, about 2 GB.");
  if (where.inner) notes.push("Use the pip of that environment: %pip installs beside it, into the runtime.");
  if (where.cell && !has(where, wheel)) notes.push("Restart the session after installing, so that the new version is loaded.");
  return notes;
}

function fitNotes(wheel, wish) {
  if (!wish.runtime) return [];
  const { name, companions } = wish.runtime;
  const found = wheel.fit[name];
  const notes = [];
  if (!found) notes.push(`Not checked against runtime ${name}.`);
  else if (found.verdict === "fits") notes.push(`Fits runtime ${name}: no other package changes.`);
  else notes.push(`Changes other packages of runtime ${name}: ${changesOf(found)}.`);
  if (distance(wheel, wish)) {
    const names = Object.entries(companions).map(([project, version]) => `${project} ${version}`);
    notes.push(`The runtime has TensorFlow ${wish.anchor}; packages built for it may stop working: ${names.join(", ") || "unknown"}.`);
  }
  return notes;
}

const changesOf = (found) => found.changes.map(([project, old, fresh]) => `${project} ${old || "none"} -> ${fresh || "none"}`).join(", ");

/** Return the smaller wheels of the same release and another line that this GPU runs without compiling. */
function smallerOf(best, accepted, wish, where) {
  const found = [];
  for (const wheel of accepted) {
    const known = [best, ...found.map((one) => one.wheel)].some((one) => one.line === wheel.line);
    if (!wish.gpu || known || publicOf(wheel) !== publicOf(best) || wheel.size >= best.size || leftToDo(wheel, wish)) continue;
    found.push({ wheel, command: commandOf(where, wheel), why: `${onlyFor(wheel, wish, where)}, ${megabytes(wheel)} instead of ${megabytes(best)}` });
  }
  return found;
}

/** Return for what alone a wheel is: the GPUs of Colab there, elsewhere the compute capabilities; else "smaller". */
function onlyFor(wheel, wish, where) {
  const names = served(wheel, wish);
  const gpus = wish.gpus.filter((one) => names.includes(one.name) && (one.colab || !where.colab));
  const words = [...new Set(gpus.map((one) => (where.colab ? one.name : one.capability)))];
  const few = words.length && words.length <= FEW_GPUS;
  return few ? `${where.colab ? "" : "compute capability "}${words.join(", ")} only` : "smaller";
}

// --- where nothing fits --------------------------------------------------------------------------

function nothingOf(environment, listing, wish, where, rejected) {
  const alternatives = onTheCpu(environment, listing, wish, where);
  const none = { wheel: null, command: null, notes: [], rejected, alternatives, restart: false, official: false };
  if (!unserved(listing, wish) || !serves(OFFICIAL_CODE, wish.gpu ?? [0, 0])) return { ...none, advice: adviceOf(environment, listing, wish) };
  const kept = wish.anchor && where.colab;
  const fits = OFFICIAL_PYTHONS.includes(wish.python);
  let advice = `Take the official TensorFlow ${OFFICIAL}: it has native code for ${gpuName(wish)}, and no wheel here has.`;
  if (kept) advice = `Keep the runtime's own TensorFlow ${wish.anchor}: no wheel here has code for ${gpuName(wish)}.`;
  else if (!fits) advice += ` It is there for Python ${OFFICIAL_PYTHONS[0]} to ${OFFICIAL_PYTHONS.at(-1)}, not ${wish.python}.`;
  const command = fits && !kept ? officialCommand(where) : null;
  return { ...none, command, restart: command !== null && where.cell && !has(where, OFFICIAL_WHEEL), advice, official: true };
}

const ofProject = (listing, wish) => listing.wheels.filter((wheel) => wheel.project === wish.project);

/** Return whether there is a GPU here that no wheel of the project serves, whatever the Python. */
function unserved(listing, wish) {
  const mine = ofProject(listing, wish);
  const linux = mine.some((wheel) => otherMachine(wheel, wish) === null);
  return Boolean(wish.gpu) && linux && mine.every((wheel) => noGpuCode(wheel, wish));
}

function onTheCpu(environment, listing, wish, where) {
  const best = wish.gpu ? bestOf({ ...environment, gpu: null }, listing, wish.project) : null;
  return best ? [{ wheel: best, command: commandOf({ ...where, gpu: false }, best), why: "runs on the CPU" }] : [];
}

function adviceOf(environment, listing, wish) {
  const mine = ofProject(listing, wish);
  if (!mine.length) {
    const none = `This index has no wheel of ${wish.project}: check its URL, or ask its owner.`;
    const official = " PyPI may have an official wheel: `pip install tensorflow`.";
    return none + (wish.project === "tensorflow" ? official : "");
  }
  if (mine.every((wheel) => otherMachine(wheel, wish))) {
    const windows = wish.machine.toLowerCase().includes("windows") ? " On Windows use WSL2." : "";
    return `These wheels are for x86_64 Linux.${windows} PyPI may have an official wheel: \`pip install tensorflow\`.`;
  }
  if (unserved(listing, wish)) return `No TensorFlow from 2.18 on has code for ${gpuName(wish)}: it runs on the CPU of this machine.`;
  const name = environment.colab ? otherRuntime(environment, listing, wish) : null;
  if (name) return `Use runtime ${name}: in the command palette of Colab, "Change runtime version".`;
  return oneChange(environment, listing, wish) ?? nearestOf(listing, wish);
}

/** Return the newest known runtime in which a wheel fits, null if there is none. */
function otherRuntime(environment, listing, wish) {
  for (const { name, python, glibc } of listing.runtimes) {
    const other = { ...environment, python: minorOf(python), glibc, runtime: name, venv: false };
    if (name !== environment.runtime && bestOf(other, listing, wish.project)) return name;
  }
  return null;
}

/** Return the one thing to change so that a wheel fits, null if one is not enough. */
function oneChange(environment, listing, wish) {
  const fits = (change) => bestOf({ ...environment, ...change }, listing, wish.project);
  const pythons = [...new Set(listing.wheels.flatMap((wheel) => wheel.python))].sort((one, two) => compare(numbers(two), numbers(one)));
  const python = pythons.find((one) => fits({ python: one }));
  if (python) return `No wheel here is for Python ${wish.python}. Make an environment with Python ${python} (\`uv venv --seed --python ${python}\`), and ask again in it.`;
  const newer = fits({ driver: null });
  if (newer && environment.colab) return `The driver ${wish.driver} of this machine is too old, and it comes with Colab: connect to another one.`;
  if (newer) return `Update the NVIDIA driver to ${oldestDriver(newer, wish)[0]} or newer; this machine has ${wish.driver}.`;
  const anywhere = wishOf({ ...environment, glibc: null }, listing, wish.project);
  const later = listing.wheels.filter((wheel) => against(wheel, anywhere) === null).map((wheel) => glibcOf(wheel) ?? [0, 0]).sort(compare);
  if (later.length) return `Use a Linux with glibc ${later[0].join(".")} or newer, for example in a container; this machine has ${wish.glibc}.`;
  if (wish.runtime && fits({ venv: true })) return "Make a virtual environment (`!uv venv --seed`): there it changes no package of the runtime.";
  return null;
}

/** Return what is against the wheel that passes most rules. */
function nearestOf(listing, wish) {
  const passed = (wheel) => {
    const place = RULES.findIndex((rule) => rule(wheel, wish));
    return place < 0 ? RULES.length : place;
  };
  const nearest = ofProject(listing, wish).reduce((best, wheel) => (passed(wheel) > passed(best) ? wheel : best));
  return `Nothing in this index fits. The nearest is ${nearest.version}: ${against(nearest, wish)}.`;
}

function bestOf(environment, listing, project) {
  const wish = wishOf(environment, listing, project);
  return ranked(listing.wheels.filter((wheel) => against(wheel, wish) === null), wish)[0]?.[1] ?? null;
}

// --- facts of wheels and versions ----------------------------------------------------------------

function wishOf(environment, listing, project) {
  const inner = Boolean(environment.venv);
  const runtime = inner ? null : listing.runtimes.find((one) => one.name === environment.runtime) ?? null;
  const known = environment.colab && !inner ? environment.installed?.tensorflow ?? null : null;
  return {
    project,
    python: environment.python,
    glibc: environment.glibc ?? null,
    driver: environment.driver ?? null,
    gpu: capabilityOf(environment.gpu),
    name: environment.gpu_name ?? null,
    runtime,
    anchor: runtime ? runtime.tensorflow : known,
    machine: environment.machine || "x86_64",
    lines: linesOf(listing),
    gpus: listing.gpus,
  };
}

/** Return the GPU for users: "T4 (compute capability 7.5)". */
function gpuName(wish) {
  const capability = wish.gpu.join(".");
  const name = wish.name ?? wish.gpus.find((one) => one.capability === capability)?.name;
  return name ? `${name} (compute capability ${capability})` : `compute capability ${capability}`;
}

/** Return the oldest driver for a wheel's CUDA, undefined where there is none, and its major. */
function oldestDriver(wheel, wish) {
  const cuda = Object.keys(wheel.gpu_code).length ? wish.lines[wheel.line] ?? "" : "";
  const major = cuda.split(".")[0];
  return [OLDEST_DRIVER[major], major];
}

/** Return the oldest glibc that one of the platforms of a wheel asks for, null if none asks for any. */
function glibcOf(wheel) {
  const found = [];
  for (const platform of wheel.platforms) {
    const match = /^manylinux_(\d+)_(\d+)_/.exec(platform);
    const old = OLD_NAMES[platform.split("_")[0]];
    if (!match && !old) return null;
    found.push(match ? [Number(match[1]), Number(match[2])] : old);
  }
  return found.sort(compare)[0] ?? null;
}

const linesOf = (listing) => Object.fromEntries(listing.lines.map((line) => [line.name, line.cuda]));
const numbers = (version) => (version.match(/\d+/g) ?? []).map(Number);
const publicOf = (wheel) => wheel.version.split("+")[0];
const minorOf = (python) => python.split(".").slice(0, 2).join(".");

/** Return the size of a wheel for users, rounded as Python rounds. */
function megabytes(wheel) {
  const size = wheel.size / 1e6;
  const tie = size % 1 === 0.5 && Math.floor(size) % 2 === 0;
  return `${tie ? Math.floor(size) : Math.round(size)} MB`;
}

function capabilityOf(text) {
  const match = /^(\d+)\.(\d+)$/.exec(text ?? "");
  return match ? [Number(match[1]), Number(match[2])] : null;
}

/** Choose a wheel of a listing (a wheels.json) for an environment, and the command that installs it. */
function select(environment, listing, { project = "tensorflow", base = listing.base_url, installer = "pip" } = {}) {
  const wish = wishOf(environment, listing, project);
  const where = placeOf(environment, base, installer, wish.lines);
  const faults = listing.wheels.map((wheel) => [wheel, against(wheel, wish)]);
  const ranks = ranked(faults.filter(([, fault]) => fault === null).map(([wheel]) => wheel), wish);
  const accepted = ranks.map(([, wheel]) => wheel);
  if (!accepted.length) return nothingOf(environment, listing, wish, where, faults.map(([wheel, fault]) => [wheel.file, fault]));
  const [top, best] = ranks[0];
  const lesser = new Map(ranks.map(([one, wheel]) => [wheel, worse(one, top, best, wish)]));
  return {
    wheel: best,
    command: commandOf(where, best),
    notes: notesOf(best, wish, where),
    rejected: faults.filter(([wheel]) => wheel !== best).map(([wheel, fault]) => [wheel.file, fault ?? lesser.get(wheel)]),
    alternatives: smallerOf(best, accepted, wish, where),
    restart: where.cell && !has(where, best),
    advice: null,
    official: false,
  };
}
