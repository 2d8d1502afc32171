"""How every HTML page is made. jinja2 is imported when the first one is."""

from typing import Any


def template(name: str, **filters: Any) -> Any:
    """A page of the folder ``templates``, to be filled by its ``render``; what is filled in is escaped."""
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
