"""HTML pages from templates that lie beside their modules."""

from functools import cache

import jinja2


def render_html_template(package: str, name: str, **values: object) -> str:
    """The page of a template, with all values escaped; what is no text in a file name becomes a question mark."""
    return _environment(package).get_template(name).render(values).encode(errors="replace").decode()


@cache
def _environment(package: str) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
