"""Write a page to draw digits on: a trained network that runs in the browser, without a server.

python experiments/playground.py
python experiments/playground.py runs/mnist-1
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from jaxnaive import command, networks, runs
from jaxnaive.disk import files
from jaxnaive.pages import playground


@dataclass(frozen=True)
class Options:
    """Write a page to draw digits on, which holds the network of a finished run on MNIST."""

    run: Positional[Path | None] = None
    """folder of the run, such as runs/mnist-1, or a file that Network.save wrote; default: the last run in
    runs on images of MNIST's size"""
    out: Path | None = None
    """the page; by default playground.html in the folder of the run"""


def main(options: Options) -> Path:
    """Returns where the page is."""
    run = options.run or runs.last_folder(command.RUNS, networks.takes_digits, "digits of MNIST's size")
    network = networks.load(run)
    out = options.out or (network.folder or run.parent) / playground.PLAYGROUND
    with command.usage():
        page = playground.to_html(network).encode()
        if out.is_dir():
            raise ValueError(
                f"out: got the folder {out}, expected a file, such as {out / playground.PLAYGROUND}"
            )
        files.make_folder(out.parent)
    files.write(out, page)
    print(f"saved {out}: {len(page):,} bytes; open it in a browser")
    return out


if __name__ == "__main__":
    command.run(main, Options)
