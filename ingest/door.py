"""The front door: authenticate, translate, make durable, answer (design §4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from eventlog.contract import AppendFailed, EventLog, Record, RecordTooLarge
from eventlog.drainer import Drainer
from eventlog.spool import Spool
from ingest import metrics as m
from ingest import wire
from ingest.adapters.contract import Adapter, Answer, fault, json_answer
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.durable import NotDurable, Store, Where
from ingest.journal import Seldom, trace_of
from ingest.limits import DEFAULT_LIMITS, Limits
from ingest.rates import Places, Rates
from ingest.sources import NATIVE, SourceBook, SourceConfig
from ingest.translate import Translated, cut_records, event_ids, head_only, records_of, translate

log = structlog.get_logger(__name__)
_CHATTER: Final = logging.getLogger(__name__)

_UNKNOWN: Final = Answer(404, b"not found")
_NO_KEY: Final = replace(
    json_answer({"result": "error", "error": "no source has this key or signature"}, 401),
    headers={"WWW-Authenticate": 'Bearer realm="leadfold"'},
)
_RETRY: Final = json_answer(
    {"result": "error", "error": "nothing can be stored at the moment"}, 503, {"Retry-After": "5"}
)
_PREFLIGHT: Final = {
    **wire.CORS,
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Api-Key",
    "Access-Control-Max-Age": "86400",
}


def utc_now() -> datetime:
    """The clock of the running program."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class IngestDeps:
    """What the front door works with. Log and spool are started by the caller, and closed after the application.

    ``key_secret``: for partition keys; the same in all processes and for ever. ``deadline_s``: from the whole body to
    the answer. With ``drain`` the application ships the spool to the log while it runs. With ``accept_received_header``
    the header `ingest.wire.RECEIVED_HEADER` says when a delivery came: only for replaying history and for tests. ``left``: how many
    records wait in spools of front doors that no longer run.
    """

    log: EventLog
    spool: Spool | None
    book: SourceBook
    key_secret: bytes = field(repr=False)
    limits: Limits = DEFAULT_LIMITS
    deadline_s: float = 2.0
    metrics: m.IngestMetrics = field(default_factory=m.IngestMetrics)
    clock: Callable[[], datetime] = utc_now
    adapters: Mapping[str, Adapter] = field(default_factory=adapters)
    drain: bool = True
    accept_received_header: bool = False
    left: Callable[[], int] = field(default=lambda: 0)


def _has_key(request: web.Request) -> bool:
    """Whether a native request brings anything to be known by."""
    return any(name in request.headers for name in ("Authorization", "X-Api-Key", "webhook-signature"))


@dataclass(slots=True)
class Sealed:
    """A delivery on its way to the log. ``began``: when, `time.monotonic`."""

    delivery: Delivery
    adapter: Adapter
    translated: Translated
    records: list[Record]
    began: float = field(default_factory=time.monotonic)


class FrontDoor:
    """The handlers, and what they share."""

    def __init__(self, deps: IngestDeps) -> None:
        self.deps = deps
        self.store = Store(deps.log, deps.spool, deadline_s=deps.deadline_s)
        self._rates = Rates(deps.limits.rate_per_s, deps.limits.rate_burst)
        self._seldom = Seldom()
        self._places = Places(deps.limits.max_in_flight)
        self.drainer = (
            Drainer(deps.spool, deps.log, on_shipped=self.store.shipped)
            if deps.spool is not None and deps.drain
            else None
        )

    @property
    def in_flight(self) -> int:
        """Deliveries that are being made durable."""
        return self._places.taken

    # --- handlers ---------------------------------------------------------------------------------------------

    async def provider(self, request: web.Request) -> web.StreamResponse:
        """A delivery to a source's own address. An unknown name and a wrong secret look the same: 404."""
        source = self.deps.book.get(request.match_info["name"])
        adapter = self.deps.adapters.get(source.provider) if source else None
        if source is None or adapter is None:
            return wire.respond(self.refused("unknown", why="there is no source of this name"))
        return await self._counted(request, lambda: self._from_provider(request, source, adapter))

    async def native(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/events``: the source is found by its key."""
        return await self._counted(request, lambda: self._from_native(request))

    async def ready(self, _: web.Request) -> web.StreamResponse:
        """Whether a delivery now would be made durable: 200, or 503. Why not is told by `ingest.ops` only."""
        ready = self.store.ready
        return wire.respond(json_answer({"ready": ready}, 200 if ready else 503))

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """While the application runs: the spool is shipped."""
        task = asyncio.create_task(self.drainer.run()) if self.drainer else None
        yield
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # --- one delivery -----------------------------------------------------------------------------------------

    async def _counted(
        self, request: web.Request, work: Callable[[], Awaitable[Answer]]
    ) -> web.StreamResponse:
        """Timed; whatever is raised becomes a 503 and no traceback."""
        deps = self.deps
        began = time.perf_counter()
        try:
            answer = await work()
        except Exception as error:  # noqa: BLE001 - see `failed`
            answer = self.failed(error)
        deps.metrics.request.observe(time.perf_counter() - began)
        return wire.respond(answer, request)

    async def _from_provider(self, request: web.Request, source: SourceConfig, adapter: Adapter) -> Answer:
        if request.method == "OPTIONS":
            return self._preflight(self._delivery(request, b"", source), adapter)
        if not request.content.is_eof() and not self._may_send(request, source, adapter):
            return self.refused(source.name)
        try:
            body = await wire.body_of(request, self.deps.limits)
        except wire.Dropped as dropped:
            if not self._may_send(request, source, adapter):
                return self.refused(source.name)
            return await self._dropped(request, dropped, source.name, [source], adapter)
        delivery = self._delivery(request, body, source)
        if not adapter.authenticate(delivery):
            return self.refused(source.name, why=fault(delivery))
        return wire.for_browsers(await self._take(delivery, adapter), delivery, adapter)

    def _may_send(self, request: web.Request, source: SourceConfig, adapter: Adapter) -> bool:
        """Whether a body that is still on its way is worth waiting for: who has a wrong key in the path sends none."""
        in_path = adapter.provider != NATIVE and source.options.get("key_in", "path") == "path"
        return not in_path or adapter.authenticate(self._delivery(request, b"", source))

    async def _from_native(self, request: web.Request) -> Answer:
        adapter = self.deps.adapters.get(NATIVE)
        if not request.content.is_eof() and not _has_key(request):
            return self.refused("unknown", _NO_KEY)
        sources = self.deps.book.native() if adapter else []
        try:
            body = await wire.body_of(request, self.deps.limits)
        except wire.Dropped as dropped:
            return await self._dropped(request, dropped, NATIVE, sources, adapter)
        for source in sources:
            delivery = self._delivery(request, body, source)
            if adapter is not None and adapter.authenticate(delivery):
                return await self._take(delivery, adapter)
        return self.refused("unknown", _NO_KEY)

    async def _dropped(
        self,
        request: web.Request,
        dropped: wire.Dropped,
        name: str,
        sources: Sequence[SourceConfig],
        adapter: Adapter | None,
    ) -> Answer:
        """The answer when there is no whole body.

        Of one that is too large the head is kept as unreadable, if whoever sent it can be known by its path or head: nothing
        that an authenticated source sends goes by unseen.
        """
        deps = self.deps
        for source in sources if dropped.head and adapter is not None else ():
            delivery = self._delivery(request, dropped.head, source)
            if adapter is not None and adapter.authenticate(delivery):
                kept = partial(head_only, delivery, adapter, deps.key_secret, dropped.answer)
                sealed = self.prepared(delivery, adapter, kept)
                return sealed if isinstance(sealed, Answer) else await self.durable(sealed)
        deps.metrics.delivered(name, dropped.outcome)
        log.warning("ingest.dropped", source=name, outcome=dropped.outcome)
        return dropped.answer

    async def _take(self, delivery: Delivery, adapter: Adapter) -> Answer:
        """Translate an authenticated delivery, make it durable, answer."""
        sealed = self.prepared(delivery, adapter)
        return sealed if isinstance(sealed, Answer) else await self.durable(sealed)

    def prepared(
        self, delivery: Delivery, adapter: Adapter, translated_as: Callable[[], Translated] | None = None
    ) -> Answer | Sealed:
        """An authenticated delivery, ready for the log (then it has a place), or what to answer at once.

        ``translated_as``: where it is not to be translated.
        """
        deps, name = self.deps, delivery.source.name
        wait_s = self._rates.wait_s(name, time.monotonic())
        if wait_s:
            deps.metrics.delivered(name, "limited")
            return json_answer(
                {"result": "error", "error": "too many deliveries"}, 429, {"Retry-After": str(wait_s)}
            )
        if not self._places.take(name):
            deps.metrics.delivered(name, "busy")
            return _RETRY
        try:
            deps.metrics.seen(name, delivery.received.timestamp())
            if translated_as is None:
                translated = translate(delivery, adapter, deps.key_secret)
            else:
                translated = translated_as()
            if not translated.probe:
                records, translated = records_of(translated, delivery, adapter, deps.key_secret)
                return Sealed(delivery, adapter, translated, records)
        except BaseException:
            self._places.give(name)
            raise
        self._places.give(name)
        deps.metrics.delivered(name, "probe")
        return translated.answer

    async def durable(self, sealed: Sealed, failed: AppendFailed | None = None) -> Answer:
        """Make it durable and answer; ``failed`` tells how the log's own future (`Store.submit`) ended."""
        deps, name = self.deps, sealed.delivery.source.name
        try:
            where = await self._put(sealed, failed)
        except NotDurable:
            deps.metrics.delivered(name, "unavailable")
            log.error("ingest.not_durable", source=name)
            return _RETRY
        finally:
            self._places.give(name)
        self._count(sealed, where)
        return sealed.translated.answer

    async def _put(self, sealed: Sealed, failed: AppendFailed | None) -> Where:
        try:
            if failed is None:
                return await self.store.put(sealed.records)
            if not isinstance(failed, RecordTooLarge):
                return await self.store.rescue(sealed.records, failed, began=sealed.began)
        except RecordTooLarge:
            pass
        # This log takes less than the contract's limit.
        sealed.records, sealed.translated = cut_records(
            sealed.translated, sealed.delivery, sealed.adapter, self.deps.key_secret
        )
        return await self.store.put(sealed.records)

    def released(self, sealed: Sealed) -> None:
        """It will not be made durable: its place is free."""
        self._places.give(sealed.delivery.source.name)

    def stored(self, sealed: Sealed) -> Answer:
        """The log's own future ended well."""
        self._places.give(sealed.delivery.source.name)
        self._count(sealed, "logged")
        return wire.for_browsers(sealed.translated.answer, sealed.delivery, sealed.adapter)

    def _preflight(self, delivery: Delivery, adapter: Adapter) -> Answer:
        """A browser asks whether it may post. It sends no keys yet: only a secret in the path can be checked."""
        in_path = delivery.source.options.get("key_in", "path") == "path"
        if in_path and not adapter.authenticate(delivery):
            return self.refused(delivery.source.name)
        return Answer(204, headers=_PREFLIGHT if adapter.BROWSERS else {})

    def _delivery(self, request: web.Request, body: bytes, source: SourceConfig) -> Delivery:
        return wire.delivery_of(
            request, body, source, received=self.received(request.headers), limits=self.deps.limits
        )

    def received(self, headers: Mapping[str, str]) -> datetime:
        """Now; or when a replay says that the delivery came, where that is believed."""
        given = headers.get(wire.RECEIVED_HEADER) if self.deps.accept_received_header else None
        if given:
            with contextlib.suppress(ValueError):
                moment = datetime.fromisoformat(given)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC)
        return self.deps.clock()

    # --- counting ---------------------------------------------------------------------------------------------

    def _count(self, sealed: Sealed, where: Where) -> None:
        deps, name, translated = self.deps, sealed.delivery.source.name, sealed.translated
        deps.metrics.appended("log" if where == "logged" else "spool", time.monotonic() - sealed.began)
        deps.metrics.delivered(name, translated.outcome or where)
        for event in translated.events:
            deps.metrics.fact(name, event.type)
        if translated.outcome == "unreadable":
            log.warning(
                "ingest.unreadable", source=name, events=event_ids(translated), reason=translated.unreadable
            )
        elif _CHATTER.isEnabledFor(logging.DEBUG):  # asked before anything is put together
            log.debug("ingest.accepted", source=name, where=where, events=event_ids(translated))

    def refused(self, name: str, answer: Answer = _UNKNOWN, *, why: str = "not the source's key") -> Answer:
        """A wrong key: counted, and what to answer. The log says ``why``, the answer does not."""
        self.deps.metrics.delivered(name, "refused")
        if times := self._seldom.times(name, time.monotonic()):
            log.warning("ingest.refused", source=name, times=times, reason=why)
        return answer

    def failed(self, error: Exception) -> Answer:
        """Whatever was raised becomes a 503 and no traceback: the provider repeats it; a 500 he might give up."""
        log.error("ingest.failed", error=type(error).__name__, trace=trace_of(error))
        self.deps.metrics.delivered("unknown", "unavailable")
        return _RETRY
