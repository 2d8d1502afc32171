"""Run all lessons and write them as one page, in English and Chinese, with notebooks beside it.

python -m pip install -e '.[notes]'
python experiments/notes.py
python experiments/notes.py --only backpropagation --language zh
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jaxnaive import command, data
from jaxnaive.disk import files
from jaxnaive.pages import notes

FOLDER = Path(__file__).parent / "lessons"
LESSONS = (
    "tensors",
    "operations",
    "geometry",
    "training",
    "optimizers",
    "backpropagation",
    "from_scratch",
    "bugs",
)
MINUTES = 10  # that a cell may take


@dataclass(frozen=True)
class Options:
    """Run the lessons and write them as one page that opens in any browser, without a network."""

    only: tuple[str, ...] = ()
    """the lessons that are run and shown; default: all"""
    language: str | None = None
    """the language that the page opens in, en or zh; default: that of its reader's browser"""
    out: Path = command.RUNS / "notes"
    """folder for the page, index.html, and the notebooks with what came out, in folders en and zh"""


def main(options: Options) -> Path:
    """Returns where the page is."""
    with command.usage():
        for name in options.only:
            check(name, LESSONS, "only", "a lesson")
        if options.language is not None:
            check(options.language, tuple(notes.LANGUAGES), "language", "a language")
        for folder in (options.out, *(options.out / language for language in notes.LANGUAGES)):
            files.make_folder(folder)
    names = [name for name in LESSONS if name in options.only or not options.only]
    dataset = data.load(
        verify=False
    ).name  # of this only the name is used; if there is no MNIST, it says so now
    notebooks = run(names)
    page = notes.to_html(notebooks, dataset, options.language).encode()
    for name, notebook in notebooks.items():
        for language in notes.LANGUAGES:
            write_notebook(options.out / language / f"{name}.ipynb", notes.in_language(notebook, language))
    out = options.out / notes.PAGE
    files.write(out, page)
    print(f"saved {out}: {len(page):,} bytes; open it in a browser")
    return out


def check(name: str, known: Sequence[str], option: str, kind: str) -> None:
    """Raise ``ValueError``, with the nearest name there is, unless the name is known."""
    if name not in known:
        hint = data.did_you_mean(name, known)
        raise ValueError(f"{option}: got {name!r}, expected {kind} of {', '.join(known)}{hint}")


def read(name: str) -> Any:
    """A lesson as a notebook, in both languages, that has not run yet."""
    try:
        import jupytext
    except ImportError as error:
        raise ImportError(
            "the lessons as a page need more packages: python -m pip install -e '.[notes]'"
        ) from error
    return jupytext.read(FOLDER / f"{name}.py")


def run(names: Sequence[str]) -> dict[str, Any]:
    """The lessons as notebooks that have run."""
    notebooks = {name: read(name) for name in names}
    cells = sum(cell.cell_type == "code" for notebook in notebooks.values() for cell in notebook.cells)
    with tqdm(total=cells, unit="cell", leave=False) as bar:
        for name, notebook in notebooks.items():
            bar.set_description(name)
            execute(name, notebook, bar.update)
    return notebooks


def execute(name: str, notebook: Any, after_cell: Callable[[], Any] = lambda: None) -> None:
    """Run a notebook in a process of its own; what comes out is added to it.

    Raises:
      RuntimeError: a cell failed.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    failed: list[Any] = []
    started = threading.Event()
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=60 * MINUTES,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        on_cell_start=lambda **_: started.set(),
        on_cell_executed=lambda **_: after_cell(),
        on_cell_error=lambda cell, **_: failed.append(cell),
    )
    try:
        _execute(client, started)
    except DeadKernelError as error:
        raise RuntimeError(f"lesson {name}: its process ended before its last cell") from error
    except CellExecutionError as error:
        first_line = failed[0].source.strip().partition("\n")[0]
        message = f"{error.ename}: {error.evalue}".rstrip(": ")
        place = failed[0].execution_count
        raise RuntimeError(f"lesson {name}, code cell {place} ({first_line}): {message}") from error


def _execute(client: Any, started: threading.Event) -> None:
    # In the main thread nbclient would take Ctrl-C for itself and end in an error of its own, as it does when
    # its process is killed before the first cell.
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, client.async_execute())
        try:
            done.result()
        except KeyboardInterrupt:
            while not (started.wait(0.1) or done.done()):
                pass
            if not done.done():
                os.kill(client.km.provisioner.pid, signal.SIGKILL)
            raise


def write_notebook(path: Path, notebook: Any) -> None:
    """Write a notebook as a file that Jupyter, VS Code and Colab open."""
    import nbformat

    files.write(path, nbformat.writes(notebook).encode())


if __name__ == "__main__":
    command.run(main, Options)
