"""The page of lessons: its two languages, formulas, outputs and toys, in a browser without a screen."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image
from shell.toys import screen
from test_rows import ROWS

from experiments import notes as experiment
from jaxnaive.pages import notes, toys

nbformat = pytest.importorskip("nbformat.v4", reason="needs the extra notes")
pytest.importorskip("nbconvert", reason="needs the extra notes")
pytest.importorskip("latex2mathml", reason="needs the extra notes")

TOO_WIDE = "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
ENGLISH = """# One lesson

The slope of $x^2$ is $2x$, in `code`
and **bold**.

## A section

<details><summary>Answer</summary>

*Six.*

</details>"""
CHINESE = """# 一课

$x^2$ 的斜率是 $2x$，
这是第二行，最大约
3.4，就是
`code`
的值。

## 一节

<details><summary>答案</summary>

六。

</details>"""


def png():
    with io.BytesIO() as buffer:
        Image.new("L", (4, 3)).save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode()


def code(source, *outputs, **metadata):
    return nbformat.new_code_cell(source, metadata=metadata, outputs=list(outputs))


def shown(**data):
    return nbformat.new_output("display_data", data={"text/plain": "words"} | data)


def printed(text, name):
    return nbformat.new_output("stream", name=name, text=text)


@pytest.fixture(scope="module")
def notebook():
    cells = [
        nbformat.new_markdown_cell(ENGLISH, metadata={"lang": "en"}),
        nbformat.new_markdown_cell(CHINESE, metadata={"lang": "zh"}),
        code("x = 1  # <b>", printed("\x1b[1ma < b\x1b[0m\n", "stdout"), tags=["S63"]),
        code("warn()", printed("NO MNIST\n", "stderr")),
        code("picture()", shown(**{"image/png": png()}), alt='a "dot"', alt_zh="一个点"),
        code("play()", shown(**{toys.MIME: {"name": "graph", "numbers": {
            "expression": "x * w", "leaves": {"x": 2, "w": 3}, "end": "</script>"}}})),
        code("7", nbformat.new_output("execute_result", data={"text/plain": "7"})),
    ]  # fmt: skip
    return nbformat.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def html(notebook):
    return notes.to_html({"one": notebook, "two": notebook}, "digits")


def test_prose_is_in_both_languages_with_formulas_as_mathml(html):
    assert html.count('<div lang="en">') == html.count('<div lang="zh">') == 2
    assert html.count("<msup><mi>x</mi><mn>2</mn></msup>") == 4 and "$x" not in html
    assert "in <code>code</code>\nand <strong>bold</strong>" in html
    assert "，这是第二行，最大约 3.4，就是 <code>code</code> 的值。" in html  # the lines of Chinese, joined
    assert re.findall(r'<h2 id="([\w-]+)"', html) == ["one-1", "one-1-zh", "two-1", "two-1-zh"]
    assert not set(re.findall(r'href="#([\w-]+)"', html)) ^ set(re.findall(r'<h\d id="([\w-]+)"', html))


def test_what_came_out_is_shown_and_escaped(html):
    assert '<pre class="text" tabindex="0">a &lt; b</pre>' in html  # without the terminal's colours
    assert '<pre class="warning" tabindex="0">NO MNIST</pre>' in html
    assert '<pre class="text" tabindex="0">7</pre>' in html
    assert "&lt;b&gt;" in html and ">words<" not in html
    assert f'src="data:image/png;base64,{png()}" alt="a &#34;dot&#34;"' in html
    assert ">S63</span>" in html and "8 × 8 digits" in html


def test_it_needs_no_other_file_and_only_the_toys_it_shows(html):
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", html))
    languages = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}  # these are their names
    assert addresses <= languages
    assert not re.search(r"<link|<script src|@import|url\(", html)
    assert "toys.graph =" in html and "toys.ball =" not in html


@pytest.fixture(params=[1280, 375])
def width(request, browser):
    """Of the screen, in pixels."""
    with screen(browser, request.param, height=800, ratio=1, mobile=False):
        yield request.param


def test_a_reader_switches_the_language_the_light_and_plays(html, browser, tmp_path, width):
    (tmp_path / "index.html").write_text(html)
    browser.get((tmp_path / "index.html").as_uri())
    run = browser.execute_script
    run("localStorage.clear()")  # where the language of the last reader is
    browser.refresh()

    def visible(selector):
        return run("return [...document.querySelectorAll(arguments[0])].filter(e => e.offsetParent)"
                   ".map(e => e.innerText)", selector)  # fmt: skip

    def press(selector):
        run("[...document.querySelectorAll(arguments[0])].find(e => e.offsetParent).click()", selector)

    def tops(*anchors):
        return [
            run(f"return document.getElementById('{anchor}').getBoundingClientRect().top")
            for anchor in anchors
        ]

    assert visible("main h1") == ["One lesson"] * 2 and run("return document.title") == "The notes, running"
    run("document.getElementById('two').scrollIntoView()")
    english = tops("two", "two-1")
    press("[data-choose=zh]")
    assert visible("main h1") == ["一课"] * 2 and run("return document.documentElement.lang") == "zh"
    moved = np.abs(np.subtract(tops("two-zh", "two-1-zh"), english))
    assert moved.min() <= 1  # the heading that is read stays
    assert run("return [...document.querySelectorAll('main img')].map(e => e.alt)") == ["一个点"] * 2
    assert "表达式" in visible("[data-toy=graph]")[0] and "expression" not in visible("[data-toy=graph]")[0]
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = run(paper)
    press("#theme")
    assert run(paper) != light
    press("#theme")
    assert run(paper) == light
    assert run("return document.getElementById('contents').open") == (width > 1000)
    assert run(TOO_WIDE) == 0
    assert not browser.get_log("browser")


@pytest.mark.slow
def test_every_row_has_a_cell_with_an_output_and_every_toy_starts(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("JAXNAIVE_MANUAL_DIR", raising=False)
    page = experiment.main(experiment.Options(out=tmp_path / "notes"))
    assert page.stat().st_size < 6e6
    shown = set()
    for path in (tmp_path / "notes" / "en").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if rows := cell["metadata"].get("tags"):
                assert cell["outputs"], (path.stem, cell["source"])
                shown |= set(rows)
    assert shown == set(ROWS)
    for width, language in itertools.product((1280, 375), notes.LANGUAGES):
        with screen(browser, width, height=800, ratio=1, mobile=False):
            browser.get(page.as_uri())
            browser.execute_script(f"document.querySelector('[data-choose={language}]').click()")
            played = browser.execute_script(
                "return [...document.querySelectorAll('[data-toy]')].map("
                "e => [e.dataset.toy, e.childElementCount, "
                "[...e.querySelectorAll('.wrong')].map(wrong => wrong.textContent).join('')])"
            )
            assert {name for name, *_ in played} == set(toys.NAMES) - {"pad"}  # which needs MNIST
            assert all(children > 1 and not wrong for _, children, wrong in played), played
            assert browser.execute_script(TOO_WIDE) == 0, (width, language)
            assert not browser.get_log("browser")
