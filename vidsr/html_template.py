"""HTML pages from templates that lie beside their modules, and extend page.html: one palette, one type."""

from functools import cache

import jinja2


def render_html_template(path: str, **values: object) -> str:
    """The page of a template below vidsr/, with all values escaped; what is no text becomes a question mark."""
    return _environment().get_template(path).render(values).encode(errors="replace").decode()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("vidsr", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
