"""Templates of the HTML pages. jinja2 is imported when the first page is made."""

from typing import Any


def template(name: str, **filters: Any) -> Any:
    """A page of the folder ``templates``; its ``render`` fills it in, and escapes what it fills in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("jaxnaive.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
