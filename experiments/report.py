"""Write the report of a finished run, or of several compared, as one HTML page.

python experiments/report.py runs/mnist-1
python experiments/report.py runs/mnist-1 runs/mnist-2 runs/mnist-3 --out seeds.html
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxnaive import command, networks
from jaxnaive.command.options import DataDir, ManualDir
from jaxnaive.disk import files
from jaxnaive.pages import report

logger = logging.getLogger("jaxnaive")


@dataclass(frozen=True)
class Options:
    """Write the report of a finished run, or of several compared, as one HTML page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """folders of finished runs of experiments/mnist.py; those that differ by their seed alone make one
    curve"""
    out: Path | None = None
    """the page; by default report.html in the folder of the run, or in that above the first of several"""
    data_dir: DataDir = None
    manual_dir: ManualDir = None


def main(options: Options) -> Path:
    """Returns where the page is."""
    with command.usage():
        check(options)
    found = [networks.load_run(folder) for folder in options.runs]
    first = options.runs[0]
    out = options.out or (first if len(found) == 1 else first.parent) / report.REPORT
    with command.usage():
        if out.is_dir():
            raise ValueError(f"out: got the folder {out}, expected a file, such as {out / report.REPORT}")
        files.make_folder(out.parent)
    report.write(out, [gathered(network, options) for network in found])
    print(f"saved {out}")
    return out


def gathered(network: networks.Network, options: Options) -> report.Report:
    """What there is to say of a run, without a test if its dataset is unavailable."""
    try:
        dataset = networks.load_dataset(network, options.data_dir, options.manual_dir)
    except (ValueError, ImportError, OSError) as error:
        reason = command.describe(error)
        logger.warning("%s: not tested, because the dataset is unavailable: %s", network.folder, reason)
        return report.gather(network, None, reason)
    return report.gather(network, dataset)


def check(options: Options) -> None:
    """Raise ``ValueError`` unless there are runs, and each only once."""
    if not options.runs:
        raise ValueError("runs: got none, expected the folders of one or more")
    for place, folder in enumerate(options.runs):
        if folder.resolve() in [other.resolve() for other in options.runs[:place]]:
            raise ValueError(f"runs: got {folder} twice, expected each run once")


if __name__ == "__main__":
    command.run(main, Options)
