"""Notebooks that have run, as one HTML page in two languages: no network, no other file.

A notebook's cells say in their metadata what the page needs: ``lang`` of prose, ``tags`` with the rows of the
notes, ``alt`` and ``alt_zh``, which say in words what a picture shows.
"""

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxnaive import pages
from jaxnaive.pages import toys

PAGE = "index.html"
LANGUAGES = {"en": "English", "zh": "中文"}
BREAK = "\u2028"  # where a line of Chinese was broken


class Heading(NamedTuple):
    """A line of the table of contents."""

    language: str
    level: int
    anchor: str
    text: str  # HTML


class Prose(NamedTuple):
    """A cell of text, in one language."""

    language: str
    html: str


class Code(NamedTuple):
    """A cell of code, and what came out."""

    html: str
    tags: list[str]  # rows of the notes
    outputs: list[dict[str, str]]  # each has a ``kind``: text, warning, picture or toy
    alt: dict[str, str]  # what its picture shows, by language

    @property
    def is_seen(self) -> bool:
        """Whether a picture or a toy came out: then the code is one click away."""
        return any(output["kind"] in ("picture", "toy") for output in self.outputs)


class Lesson(NamedTuple):
    """A chapter of the page."""

    name: str
    headings: list[Heading]
    cells: list[Prose | Code]


def in_language(notebook: Any, language: str) -> Any:
    """A copy of a notebook with the prose of one language.

    >>> from types import SimpleNamespace as Notebook
    >>> both = Notebook(cells=[{"metadata": {"lang": "en"}}, {"metadata": {"lang": "zh"}}, {"metadata": {}}])
    >>> in_language(both, "zh").cells
    [{'metadata': {'lang': 'zh'}}, {'metadata': {}}]
    """
    chosen = copy.deepcopy(notebook)
    chosen.cells = [cell for cell in chosen.cells if cell["metadata"].get("lang", language) == language]
    return chosen


def to_html(notebooks: Mapping[str, Any], dataset: str, language: str | None = None) -> str:
    """The page.

    Args:
      notebooks: that have run, by the name of the lesson.
      dataset: that the lessons ran on.
      language: that the page opens in; ``None`` is the one that its reader's browser asks for.
    """
    lessons = [_lesson(name, notebook) for name, notebook in notebooks.items()]
    played = {
        output["name"]
        for lesson in lessons
        for cell in lesson.cells
        if isinstance(cell, Code)
        for output in cell.outputs
        if output["kind"] == "toy"
    }
    return pages.template("notes/notes.html").render(
        lessons=lessons,
        dataset=dataset,
        languages=LANGUAGES,
        language=language,
        scripts=toys.scripts(played),
        styles=toys.styles(played),
    )


def _lesson(name: str, notebook: Any) -> Lesson:
    headings: list[Heading] = []
    cells: list[Prose | Code] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            language = cell.metadata["lang"]
            cells.append(Prose(language, _prose(cell.source, language, name, headings)))
        else:
            cells.append(_code(cell))
    return Lesson(name, headings, cells)


def _prose(source: str, language: str, lesson: str, headings: list[Heading]) -> str:
    """Markdown as HTML, with MathML for its formulas; its headings are added to those of the lesson."""
    from latex2mathml import converter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def heading(self, text: str, level: int, **attrs: Any) -> str:
            place = sum(heading.language == language for heading in headings)
            anchor = lesson + (f"-{place}" if place else "") + ("" if language == "en" else f"-{language}")
            headings.append(Heading(language, level, anchor, text))
            return f'<h{level} id="{anchor}">{text}</h{level}>\n'

        def inline_math(self, body: str) -> str:
            return converter.convert(body)

        def block_math(self, body: str) -> str:
            return converter.convert(body, display="block")

        def softbreak(self) -> str:
            return BREAK if language == "zh" else "\n"

    html = MarkdownWithMath(renderer=Renderer(escape=False)).render(source)
    # Chinese has no spaces between words, but one between a Chinese word and a Latin one.
    html = re.sub(f"(?<=[\u4e00-\u9fff]){BREAK}(?=[A-Za-z0-9]|<code|<math)", " ", html)
    html = re.sub(f"([A-Za-z0-9]|</code>|</math>){BREAK}(?=[\u4e00-\u9fff])", r"\1 ", html)
    return html.replace(BREAK, "")


def _code(cell: Any) -> Code:
    from nbconvert.filters import Highlight2HTML

    metadata = cell.metadata
    return Code(
        Highlight2HTML()(cell.source.rstrip()),
        list(metadata.get("tags", [])),
        [_output(output) for output in cell.outputs],
        {"en": metadata.get("alt", ""), "zh": metadata.get("alt_zh", "")},
    )


def _output(output: Any) -> dict[str, str]:
    """What a cell printed or showed, in the form that says most."""
    from nbconvert.filters import strip_ansi

    if output.output_type == "stream":
        kind = "text" if output.name == "stdout" else "warning"
        return {"kind": kind, "text": strip_ansi(output.text).rstrip()}
    if toy := output.data.get(toys.MIME):
        numbers = json.dumps(toy["numbers"]).replace("</", "<\\/")  # which would end the script element
        return {"kind": "toy", "name": toy["name"], "numbers": numbers}
    if picture := output.data.get("image/png"):
        return {"kind": "picture", "png": picture.replace("\n", "")}
    return {"kind": "text", "text": output.data["text/plain"]}
