"""Reports: what `check` found, for a person (terminal), for programs (JSON) and for CI servers (JUnit, GitHub)."""

from ._github import to_github
from ._json_report import FORMAT, content, to_json
from ._junit import to_junit
from .conclusion import Conclusion, conclude
from .terminal import to_text

__all__ = ["FORMAT", "Conclusion", "conclude", "content", "to_github", "to_json", "to_junit", "to_text"]
