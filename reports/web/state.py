"""All that the address of the report page says: the report's own parameters and how the page shows them.

Nothing of the page's state lives anywhere else, so a copied address opens the same page (spec 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

from reports.dimensions import NONE_KEY
from reports.model import ReportSpec
from reports.params import FieldError, ParamError, parse, to_pairs
from reports.result import Label, Params

Tab = Literal["table", "refusals", "pay", "excluded"]
TABS: Final[tuple[Tab, ...]] = get_args(Tab)
PAGE_NAMES: Final = frozenset({"tab", "sort", "columns", "open"})
"""Names in the address that are not parameters of the report."""
Path = tuple[tuple[str, str | None], ...]
"""Where a row stands in the tree: (dimension, key) from the outermost level to its own."""


@dataclass(frozen=True, slots=True)
class State:
    """One report page.

    ``sort`` is a column's key, with a minus for descending; ``columns`` are optional ones shown; ``open`` the ids of
    open groups, None = the default (the first level is open).
    """

    params: Params
    spec: ReportSpec
    zone: str
    tab: Tab = "table"
    sort: str = ""
    columns: tuple[str, ...] = ()
    open: tuple[str, ...] | None = None

    @property
    def path(self) -> str:
        """Path of the report's page."""
        return f"/reports/{self.spec.name}"

    @property
    def lang(self) -> Literal["ru", "en"]:
        """Language of the page."""
        return self.params.lang

    def pairs(self) -> list[tuple[str, str]]:
        """Everything as (name, value) pairs, defaults left out."""
        pairs = to_pairs(self.params, spec=self.spec, zone=self.zone)
        if self.tab != "table":
            pairs.append(("tab", self.tab))
        if self.columns:
            pairs.append(("columns", ",".join(self.columns)))
        if self.sort:
            pairs.append(("sort", self.sort))
        if self.open is not None:
            pairs.append(("open", ".".join(self.open) or "none"))
        return pairs

    def url(self, **page: object) -> str:
        """Address of this page, with some of the page's own fields replaced."""
        return _url(self.path, replace(self, **page).pairs())  # type: ignore[arg-type]

    def with_params(self, **changes: object) -> State:
        """The same page with other parameters; a change of levels forgets which groups were open."""
        params = replace(self.params, **changes)  # type: ignore[arg-type]
        return replace(self, params=params, open=None if "levels" in changes else self.open)

    def to(self, **changes: object) -> str:
        """Address of the page with other parameters."""
        return self.with_params(**changes).url()

    def rows_url(self, metric: str, path: Path = ()) -> str:
        """Address of the rows behind a figure: ``metric`` (a column) in the row of the tree where ``path`` leads."""
        return self._rows(("metric", metric), path)

    def notice_url(self, notice: str) -> str:
        """Address of the rows that a rule kept out; ``excluded`` means all of them."""
        return self._rows(("notice", notice), ())

    def _rows(self, what: tuple[str, str], path: Path) -> str:
        steps = [("at", f"{dimension}:{NONE_KEY if key is None else key}") for dimension, key in path]
        return _url(
            f"{self.path}/rows", [*to_pairs(self.params, spec=self.spec, zone=self.zone), what, *steps]
        )

    def values_url(self, dimension: str) -> str:
        """Address of the values of a dimension that can be filtered by."""
        return _url(f"{self.path}/values", [*self.pairs(), ("dimension", dimension)])

    def card_url(self, inquiry_id: UUID) -> str:
        """Address of an inquiry's card under the same clocks."""
        return _url(f"/inquiries/{inquiry_id}", self.clocks())

    def event_url(self, event_id: UUID) -> str:
        """Address of an event."""
        return _url(f"/events/{event_id}", [pair for pair in self.clocks() if pair[0] in ("zone", "lang")])

    def clocks(self) -> list[tuple[str, str]]:
        """Pairs that say at which moments, in which zone and language something is shown."""
        pairs = to_pairs(self.params, spec=self.spec, zone=self.zone)
        return [pair for pair in pairs if pair[0] in ("as_of", "known_at", "zone", "lang")]

    def file_url(self, suffix: str) -> str:
        """Address of the same report as a file (``xlsx``, ``csv``) or, with ``json``, from the API."""
        pairs = to_pairs(self.params, spec=self.spec, zone=self.zone)
        return _url(f"/api/v1{self.path}" if suffix == "json" else f"{self.path}.{suffix}", pairs)

    def hidden(self, *without: str) -> list[tuple[str, str]]:
        """Pairs that a form on the page must carry along."""
        return [(name, value) for name, value in self.pairs() if name not in without]


def narrowed(params: Params, path: Path) -> Params:
    """Parameters whose filters also ask for one row of the tree."""
    extra = tuple((dimension, True, (NONE_KEY if key is None else key,)) for dimension, key in path)
    return replace(params, filters=tuple(sorted({*params.filters, *extra})))


def node_id(path: Path) -> str:
    """A short id of a row of the tree, the same on every request."""
    text = "\x1f".join(f"{dimension}\x1e{NONE_KEY if key is None else key}" for dimension, key in path)
    return sha256(text.encode()).hexdigest()[:8]


def read_state(
    pairs: Iterable[tuple[str, str]],
    *,
    now: datetime,
    zone: str,
    spec: ReportSpec,
    ignore: frozenset[str] = frozenset(),
) -> State:
    """Read the address. Raises ParamError."""
    listed = list(pairs)
    params = parse(listed, now=now, zone=zone, spec=spec, ignore=PAGE_NAMES | ignore)
    given = dict(listed)
    known = {m.key for m in spec.metrics}
    optional = {m.key for m in spec.metrics if m.column.optional}
    columns = tuple(c for c in given.get("columns", "").split(",") if c)
    sort = given.get("sort", "")
    tab = given.get("tab", "table")
    errors = []
    if not optional.issuperset(columns):
        errors.append(FieldError("columns", Label("такого столбца нет", "no such column")))
    if sort and sort.removeprefix("-") not in known | {"name"}:
        errors.append(FieldError("sort", Label("такого столбца нет", "no such column")))
    if tab not in TABS:
        errors.append(FieldError("tab", Label("такой вкладки нет", "no such tab")))
    if errors:
        raise ParamError(errors)
    return State(
        params=params, spec=spec, zone=zone, tab=_tab(tab), sort=sort, columns=columns, open=_open(given)
    )


def _tab(text: str) -> Tab:
    return next(tab for tab in TABS if tab == text)


def _open(given: Mapping[str, str]) -> tuple[str, ...] | None:
    text = given.get("open")
    if text is None:
        return None
    return tuple(part for part in text.split(".") if part and part != "none")


def _url(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), safe=":,~")
    return f"{path}?{query}" if query else path
