// --- what a project's files say to get one wheel from this index ----------------------------------------

/**
 * Return for each tool what to put into a project, and what to know about it. `wheel` is an entry of the listing, `extra`
 * "" or "[and-cuda]", `index` the URL of its line, `python` the project's ("3.12"), `lock` the URL of a requirements
 * file with hashes, or "" if the index has none.
 */
function snippetsOf({ wheel, extra, index, python, lock }) {
  const { project, version, line } = wheel;
  const pin = `${project}${extra}==${version}`;
  const source = `tfwheel-${line}`;
  const next = `3.${Number(python.split(".")[1]) + 1}`;
  const extras = extra ? `, extras = ["${extra.slice(1, -1)}"]` : "";
  const requirements = `--extra-index-url ${index}\n${pin}\n`;
  return {
    uv: {
      text: `[project]
requires-python = "==${python}.*"
dependencies = ["${pin}"]

[tool.uv.sources]
${project} = { index = "${source}" }

[[tool.uv.index]]
name = "${source}"
url = "${index}"
explicit = true
`,
      hint: "In pyproject.toml, then: uv sync. The index is explicit: uv asks it for this package and no other.",
    },
    Poetry: {
      text: `[tool.poetry.dependencies]
python = ">=${python},<${next}"
${project} = { version = "${version}", source = "${source}"${extras} }

[[tool.poetry.source]]
name = "${source}"
url = "${index}"
priority = "explicit"
`,
      hint: "In pyproject.toml, then: poetry lock. The source is explicit: Poetry asks it for this package and no other.",
    },
    PDM: {
      text: `[project]
requires-python = "==${python}.*"
dependencies = ["${pin}"]

[[tool.pdm.source]]
name = "${source}"
url = "${index}"
include_packages = ["${project}"]
`,
      hint: "In pyproject.toml, then: pdm lock. PDM takes this package from that source.",
    },
    "pip-tools": {
      text: requirements,
      hint: "In requirements.in, then: pip-compile --generate-hashes requirements.in",
    },
    hashes: lock
      ? {
          text: `pip install --require-hashes -r ${lock}`,
          hint: "For a new environment, not for Colab's own: every dependency has one version there.",
        }
      : {
          text: `# requirements.in\n${requirements}\n# then\nuv pip compile --generate-hashes --python-version ${python} requirements.in -o requirements.txt\n`,
          hint: "For a new environment, not for Colab's own. This index holds no finished list of hashes for this wheel.",
        },
  };
}
