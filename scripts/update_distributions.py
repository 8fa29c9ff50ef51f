"""Look up on PyPI what TensorFlow and its companions require, for build_config/colab/distributions.json."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from tfwheel import cli
from tfwheel.colab import distributions, runtimes, survey
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.system.files import write_atomically


def main(_: argparse.Namespace) -> None:
    """Write the file anew; nothing is written if the index does not answer."""
    folder = CONFIG_DIR / "colab"
    today = datetime.now(UTC).date().isoformat()
    found = survey.run(folder, runtimes.load(folder), old=distributions.load(folder), date=today)
    write_atomically(folder / distributions.NAME, distributions.encode(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sys.exit(cli.enter(parser, main))
