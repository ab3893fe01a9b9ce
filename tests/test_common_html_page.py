import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from refimpl.common.html import environment, page

HOSTILE = "<script>alert(1)</script> ' \" ]]> & \x00 \x1b[2J \u202e \ud800"
SAFE = "&lt;script&gt;alert(1)&lt;/script&gt; &#39; &#34; ]]&gt; &amp; \\x00 \\x1b[2J \\u202e \\ud800"


def policy(document: str) -> str:
    (content,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', document)
    return str(content).replace("&#39;", "'")


def test_text_is_escaped_and_what_is_not_printable_is_shown() -> None:
    assert environment().from_string("{{ text }}").render(text=HOSTILE) == SAFE
    assert f"<title>{SAFE}</title>" in page(HOSTILE, Markup(""))


def test_markup_passes_as_it_is() -> None:
    assert environment().from_string("{{ text }}").render(text=Markup("<b>\xa0</b>")) == "<b>\xa0</b>"
    document = page("A title", Markup("<p>body</p>"), head=Markup("<style>p{}</style>"), header=Markup("<nav>n</nav>"))
    assert re.search(r"<style>p\{}</style>\s*</head>", document)
    assert re.search(r'<nav>n</nav>\s*<main id="main" tabindex="-1">\s*<p>body</p>\s*</main>', document)


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ forgotten }}").render()


def test_templates_of_another_package_are_found_and_the_shell_too() -> None:
    assert "report.html.j2" in environment("refimpl.report").list_templates()
    assert "page.html.j2" in environment("refimpl.report").list_templates()
    assert "report.html.j2" not in environment().list_templates()


def test_the_policy_forbids_every_request_and_every_script_but_the_pages_own() -> None:
    quiet = policy(page("A title", Markup("")))
    assert quiet.startswith("default-src 'none';")
    assert quiet.endswith("script-src 'none'")
    document = page("A title", Markup(""), script="let a = 1 < 2;\r\n")
    assert re.search(r"script-src 'sha256-[\w+/]{43}='$", policy(document))
    assert "<script>let a = 1 < 2;\n</script>" in document


@pytest.mark.parametrize("script", ["'</script>'", "'</SCRIPT '", "<!-- x"])
def test_a_script_that_would_end_its_element_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="a script in a page"):
        page("A title", Markup(""), script=script)


def test_a_page_refers_to_nothing_outside() -> None:
    document = page("A title", Markup(""))
    assert re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s>)]*)', document) == ["data:,", "#main"]
