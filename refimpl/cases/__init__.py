"""What is tested: a theme per function, each yielding vectors that still lack their expectations."""

from collections.abc import Callable, Iterator

from ..case import Golden
from ..dialects import Dialect
from ._basics import basics, betas, eps
from ._compensated import compensated
from ._events import events
from ._half import half
from ._large import large
from ._micro_batches import micro_batches
from ._options import options
from ._pairs import pairs
from ._ranks import ranks
from ._refused import refused
from ._resumed import resumed
from ._rows import duplicates, elements, row_numbers, touched
from ._shapes import layouts, ranges, shapes
from ._sizes import sizes
from ._state import counters, groups, horizons, schedules
from ._storage import storage
from ._training import training
from .build import CaseBuilder

THEMES: dict[str, Callable[[CaseBuilder], Iterator[Golden]]] = {
    "basics": basics,
    "eps": eps,
    "betas": betas,
    "duplicates": duplicates,
    "touched": touched,
    "elements": elements,
    "rows": row_numbers,
    "counters": counters,
    "groups": groups,
    "schedules": schedules,
    "resumed": resumed,
    "shapes": shapes,
    "layouts": layouts,
    "ranges": ranges,
    "options": options,
    "horizons": horizons,
    "training": training,
    "pairs": pairs,
    "sizes": sizes,
    "large": large,
    "refused": refused,
    "half": half,
    "storage": storage,
    "events": events,
    "ranks": ranks,
    "batches": micro_batches,
    "compensated": compensated,
}
"""Every theme, in the order of a summary."""

SUITES: dict[str, tuple[str, ...]] = {
    "smoke": ("basics", "duplicates", "counters", "refused"),
    "core": tuple(THEMES),
    "full": tuple(THEMES),
}
"""Suite to themes; full has the dialects of every peer too."""


def drafts(dialect: Dialect, theme: str) -> list[Golden]:
    """The vectors of a theme for a dialect, without expectations; empty where the theme does not concern the dialect."""
    return list(THEMES[theme](CaseBuilder(dialect, theme)))
