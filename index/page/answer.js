// --- which GPU a pasted text names -----------------------------------------------------------------------

const VERSIONS = /\b(?:cuda|cudnn|driver|kmd|umd|nvml|nvidia-smi|version)\s*(?:version)?\s*[:=]?\s*\d[\d.]*/gi;
const NO_NAMES = /\buuid: *[0-9a-z-]+|\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.\d|\bP\d{1,2}(?=\s+(?:N\/A|\d+W?)\s*\/)/gi; // and addresses, and how hard a GPU works
const CAPABILITY = /(?:^|[\s,;:(=|"'])((?:[2-9]|1\d)\.\d)(?![\d]|\.\d|\s*(?:[GMKT]i?B|W|%|V)\b)/g;

/**
 * Return what a text says of the GPUs of a machine: `{capability, number, driver}`, null for what it does not say.
 *
 * The text is the answer of nvidia-smi in any of its forms, a log, or a capability alone ("12.0", "sm_120"); of several
 * GPUs the least capable counts, as for the doctor. Where it says no capability, the names of `gpus` are looked for in it,
 * and `number` is the place of the one that is found. The version of CUDA is no capability.
 */
function gpuIn(text, gpus) {
  const driver = /\b\d{3}\.\d{2,3}(?:\.\d{2})?(?!\d)/.exec(text)?.[0] ?? null;
  const rest = text.replace(VERSIONS, " ");
  const stated = [...rest.matchAll(CAPABILITY)].map((found) => found[1]);
  stated.push(...[...rest.matchAll(/\b(?:sm|compute)_(\d{1,2})(\d)(?!\d)/g)].map((found) => `${found[1]}.${found[2]}`));
  const order = (one, two) => one.split(".")[0] - two.split(".")[0] || one.split(".")[1] - two.split(".")[1];
  if (stated.length) return { capability: stated.sort(order)[0], number: null, driver };
  const words = ` ${(rest.replace(NO_NAMES, " ").match(/[a-z0-9]+/gi) ?? []).join(" ").toLowerCase()} `;
  const named = gpus.map((gpu, number) => ({ capability: gpu.capability, number, driver })).filter(({ number }) => isNamed(gpus[number], words));
  return named.sort((one, two) => order(one.capability, two.capability))[0] ?? { capability: null, number: null, driver };
}

/** Return whether a GPU of the list is named in a text of lower-case words: "T4", or "3050 to 3090" beside "RTX". */
function isNamed({ name, card }, words) {
  const parts = [name, ...(card ?? "").split(", ")].filter(Boolean).map((part) => part.toLowerCase());
  const range = parts.map((part) => /^([a-z]?)(\d+) to \1(\d+)$/.exec(part)).find(Boolean);
  if (!range) return parts.some((part) => words.includes(` ${part} `));
  const family = parts[0].split(" ").filter((word) => word !== "geforce" && /^[a-z]{2,}$/.test(word));
  const models = [...words.matchAll(/(?<= )([a-z]?)(\d{3,4})(?:ti)?(?= )/g)];
  const inRange = models.some(([, letter, model]) => letter === range[1] && Number(model) >= Number(range[2]) && Number(model) <= Number(range[3]));
  const others = parts.slice(1).filter((part) => !part.includes(" to "));
  return (inRange && family.every((word) => words.includes(` ${word} `))) || others.some((part) => words.includes(` ${part} `));
}
