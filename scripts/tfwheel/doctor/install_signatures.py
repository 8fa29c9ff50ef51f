"""The known failures of an installation with pip or uv; the order is the order of blame.

``ENDS_AN_INSTALLATION`` is blamed only where an installer says it itself, and did not succeed later; ``ENDS_ANYTHING``
is said by others, too; ``WARNS`` is looked at last: what only warns, or does nothing. ``LOUD`` is whatever is not of an
installation that was asked for TensorFlow alone and found all there.
"""

from __future__ import annotations

from tfwheel.doctor.signatures import COMPANION, PROJECT, TENSORFLOW, Signature

PIN = '`pip install --extra-index-url {index}cu12/ "tensorflow==2.20.0+cu125.3"`'
# Whatever is not of an installation that was asked for TensorFlow alone and found all there.
LOUD = (
    rf"^(?!$|.*install (?!.*==[\d.]+\+)(?:.* )?\W?{PROJECT}(?![\w/.-])|Ignoring |Looking in |Requirement already |"
    r"Using |Defaulting to user|\[notice\]|Note: you may|Resolved \d|(?:Audited|Checked) \d|Non-user install"
    r"|WARNING: You are|You should consider|User install by|Created |\w+ed build)"
)

ENDS_AN_INSTALLATION = (
    Signature(
        "uv-constraints",
        (r"File not found: .?\./backend-container/containers/",),
        "Colab has set UV_CONSTRAINT or UV_BUILD_CONSTRAINT to a file that is not there.",
        (
            "Run `import os; [os.environ.pop(k, None) for k in ('UV_CONSTRAINT', 'UV_BUILD_CONSTRAINT')]`, then "
            "install again."
        ),
    ),
    Signature(
        "uv-no-environment",
        (r"No virtual environment found",),
        "uv installs into a virtual environment unless told otherwise, and there is none.",
        "In Colab add `--system`; on your own machine run `uv venv` first.",
    ),
    Signature(
        "externally-managed",
        (r"externally[- ]managed[- ]environment", r"is externally managed"),
        "This Python belongs to the operating system, which forbids pip to change it.",
        "Make a virtual environment: `python3 -m venv tf && tf/bin/pip install …`.",
    ),
    Signature(
        "disk",
        (r"\[Errno 28\]", r"No space left on device"),
        "The disk is full. A TensorFlow wheel needs its size and 1.8 GB more.",
        "Delete what is not needed (`pip cache purge`), or start a new session; then install with `--no-cache-dir`.",
    ),
    Signature(
        "hash",
        (r"DO NOT MATCH THE HASHES", r"Hash mismatch for", r"Expected sha256 [0-9a-f]{64}"),
        "The file that came is not the one that was promised: damaged on its way, old in a cache, or replaced.",
        (
            "Install again with `--no-cache-dir` (uv: `--refresh`). If it stays, do not install it: tell the "
            "owner of the index."
        ),
    ),
    Signature(
        "tag",
        (
            r"is not a supported wheel on this platform",
            rf"only {PROJECT}==\S+ is available and {PROJECT}==\S+ has no wheels with a matching",
            r"wheel is incompatible with the current (?:Python|platform)",
            r"(?:is not compatible|incompatible) with the current (?:Python|platform|version of Python)",
        ),
        "The wheel is for another Python or another system, as its name says (cp312 is Python 3.12).",
        "Install by version from the index, not by file: the installer then takes the file for this Python.",
    ),
    Signature(
        "index-refused",
        (
            r"40[13] Client Error",
            r"40[13] Forbidden",
            r"401 Unauthorized",
            r"HTTP error 40[13]",
            r"lack of valid authentication credentials",
        ),
        "The index refuses to answer (403 or 401). uv stops there, and so does what is only on that index.",
        (
            "Compare the URL with the page of the index, line and slash at its end included: a static host "
            "answers 403 for a page that is not there."
        ),
    ),
    Signature(
        "file-gone",
        (r"404 (?:Client Error|Not Found)", r"HTTP error 404"),
        "The index names a file that is not there any more.",
        "Tell the owner of the index; until then take an older build.",
        needs=(TENSORFLOW,),
    ),
    Signature(
        "network",
        (
            r"Temporary failure in name resolution",
            r"Name or service not known",
            r"dns error",
            r"Failed to establish a new connection",
            r"failed to lookup address information",
            r"Retry\(total=0,",
            r"Could not fetch URL .*(?:connection error|confirming the ssl certificate)",
            r"client error \(Connect\)",
        ),
        "The index cannot be reached from this machine.",
        "Check the URL and the network: `curl -I URL`.",
    ),
    Signature(
        "pin-without-index",
        (
            rf"No matching distribution found for {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
        ),
        (
            "A version with a label (+cu125.3) is on the index that made it alone, and the command does not name "
            "that index."
        ),
        f"Copy the whole command from the page, as in {PIN}.",
        unless=(r"(?:extra-index-url|--index|Looking in indexes: \S+,)", r"from versions: [^:)]*\+cu"),
    ),
    Signature(
        "index-gave-nothing",
        (rf"the requirement {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+ \(from versions: [^:)+]*\)",),
        (
            "The index that the command names has shown no TensorFlow: its URL is wrong, or it refused, which "
            "pip does not say."
        ),
        "Copy the whole command from the page of the index, and open its URL in a browser.",
        needs=(r"Looking in indexes: \S+, *\S",),
    ),
    Signature(
        "pin-not-there",
        (
            rf"(?:Because )?{PROJECT}==[\d.]+\+[a-z0-9.]+ has no wheels with a matching Python",
            rf"No matching distribution found for {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
        ),
        "The index has no such build of TensorFlow for this Python.",
        "Ask the page of the index, or this program without --log, for the version for your Python.",
    ),
    Signature(
        "no-dist",
        (
            rf"No matching distribution found for {PROJECT}(?![\w-])",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?![\w-])",
            rf"{PROJECT}(?:[<>=!~]=?[^ ]+)? (?:has|have) no wheels with a matching",
            rf"{PROJECT} was not found in the (?:package registry|cache)",
        ),
        "There is no TensorFlow of that version for this Python; the versions in the log are those that there are.",
        "Take one of the versions listed, or a Colab runtime with an older Python. Never change Python in place.",
    ),
    Signature(
        "conflict",
        (r"ResolutionImpossible", r"No solution found when resolving"),
        "Two requirements contradict each other; the log names them.",
        "Drop the pin that is named last, or install TensorFlow alone, with the constraints file of your runtime.",
        needs=(r"ResolutionImpossible|\bdepends? on ",),
    ),
    Signature(
        "source-build",
        (r"Failed building wheel for", r"Failed to build (?:installable wheels|`)", r"Precompiled wheel not found"),
        "No wheel matched, so that the installer tried to compile the package.",
        "Add `--only-binary :all:`; then it says which versions there are for this Python.",
        needs=(r"Building wheels? for (?:tensorflow|tf[-_]|h5py|grpcio|numpy|ml[-_]dtypes)|Precompiled wheel",),
    ),
)

ENDS_ANYTHING = (
    Signature(
        "cell-syntax",
        (r"(?:^|line \d+ )(?:uv )?pip install .*\^",),
        "The command was typed as Python: a cell needs a sign before it.",
        "Write `%pip install …`, or `!uv pip install --system …`.",
        needs=("^SyntaxError: invalid syntax",),
    ),
    Signature(
        "build-memory",
        (r"Server terminated abruptly \(error code: 14", r"Killed signal terminated program cc1plus"),
        "The compiler ran out of memory.",
        "Do not build TensorFlow in Colab: install a wheel.",
    ),
    Signature(
        "killed",
        (
            r"^(?:\S+: line \d+: +\d+ )?Killed(?: (?:\S*/)?(?:pip|uv|python).*)?$",
            r"exit code:? 137\b",
            r"with <Signals\.SIGKILL",
        ),
        "The system ended the process because memory ran out.",
        "Restart the session to free memory; install before loading data, and with `--no-cache-dir`.",
        needs=(TENSORFLOW,),
    ),
)

WARNS = (
    Signature(
        "kernel-packages",
        (r"Upgrading ipython, ipykernel, tornado, prompt-toolkit",),
        "The installation replaced packages of the notebook itself.",
        "Use `Disconnect and delete runtime`, and install with the constraints file of the runtime.",
    ),
    Signature(
        "other-version",
        (r"Successfully installed .*\btensorflow-\d+\.\d+\.\d+(?![\d+])",),
        "pip takes the highest version of all indexes: with -U that is PyPI's newest.",
        f"Install one exact version with its label, from its index, as in {PIN}.",
        needs=(r"(?:extra-index-url[ =]|Looking in indexes: .*, )\S+(?<!/whl)/c(?:pu|u\d+\w*)/", r" -U |--upgrade"),
    ),
    Signature(
        "companion",
        (rf"{COMPANION} \S+ (?:requires|has requirement) tensorflow.{{0,99}}, but you(?: have|'ll have) tensorflow ",),
        "A package that was built for another TensorFlow minor is installed beside this one.",
        "Take a TensorFlow of the minor that the line names, or the version of that package for this TensorFlow.",
    ),
    Signature(
        "conflict-warning",
        (
            r"dependency resolver does not currently take into account",
            r"^ERROR: \S+ \S+ has requirement .{1,200}, but you'll have .{1,99} which is incompatible",
        ),
        "pip installed what you asked for, and other packages do not work with it; the lines below it say which.",
        "Go back, or take versions within what those lines ask for; for TensorFlow, one of the runtime's minor.",
        needs=(
            (
                r"(?:tensorflow|keras)\S* \S+ (?:requires|has requirement) |(?:requires|has requirement) "
                r"(?:tensorflow|keras|numpy|protobuf|h5py|ml[-_]dtypes|grpcio|nvidia-)"
            ),
        ),
    ),
    Signature(
        "backtracking",
        (r"pip is looking at multiple versions of", r"This is taking longer than usual"),
        "pip tries one version after the other, and downloads each.",
        "Stop it, and install with the constraints file of your runtime, or with uv.",
        unless=(r"Successfully installed",),
    ),
    Signature(
        "restart",
        (r"You must restart the runtime", r"packages were previously imported in this runtime"),
        "The old version is still in memory.",
        "Restart the session (Runtime > Restart session); what was installed stays.",
    ),
    Signature(
        "nothing-installed",
        (
            rf"Requirement already satisfied: {PROJECT}(?![\w-])(?!(?:\[[a-z,-]+\])?==[\d.]+\+)(?!.*\(from (?!-r ))",
            r"^Audited \d+ packages? in",
            r"^Checked \d+ packages? in",
        ),
        "What was asked for is there already, so that nothing was installed.",
        f"Ask for one exact version with its label, from its index, as in {PIN}.",
        unless=(LOUD,),
    ),
)
