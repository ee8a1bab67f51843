"""The front doors of one installation: `[ingest] processes` of them share an address (docs/adr/0015).

The kernel spreads connections over all sockets that listen on one address with ``SO_REUSEPORT``. So each front door binds
for itself: one that dies takes its own connections along, and new ones go to the others at once. The price is that the
kernel would let a second installation of the same user listen there too, and give it half of our deliveries; so
whoever starts the front doors holds the address for as long as they run (`reserved`).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from leadfold.settings import Settings

#: Other systems that know the option give all connections to one of the sockets.
SPREADS: Final = sys.platform.startswith("linux") and hasattr(socket, "SO_REUSEPORT")


def numbered(name: str, number: int) -> str:
    """What belongs to the front door of this number: ``ingest`` of the first, ``ingest-2`` of the second."""
    return name if number == 1 else f"{name}-{number}"


def number_of(name: str) -> int:
    """The number in a name that `numbered` made."""
    last = name.rpartition("-")[2]
    return int(last) if last.isdecimal() else 1


def names(settings: Settings) -> tuple[str, ...]:
    """The front doors as parts, in the order of their numbers."""
    return tuple(numbered("ingest", number) for number in range(1, settings.ingest.processes + 1))


def share(settings: Settings, whole: int, least: int) -> int:
    """What one front door may have of a limit that is meant for all of them; at least ``least``."""
    return max(least, whole // settings.ingest.processes)


def port_after(url: str, count: int) -> str:
    """The address with so much higher a port; the same when ``count`` is 0.

    Raises:
        ValueError: no port stands in it.
    """
    if not count or not url:
        return url
    parsed = urlsplit(url)
    if parsed.port is None:
        raise ValueError(f"{url} names no port")
    host = parsed.netloc.rpartition(":")[0]
    return urlunsplit(parsed._replace(netloc=f"{host}:{parsed.port + count}"))


@contextmanager
def reserved(settings: Settings) -> Iterator[int]:
    """Keep the address of several front doors for them; gives the port (with 0, what the system chose).

    Raises:
        OSError: somebody has it, perhaps the front doors of another installation.
    """
    port = settings.ingest.port
    if settings.ingest.processes == 1:  # it sees for itself
        yield port
        return
    with ExitStack() as held:
        found = socket.getaddrinfo(
            settings.ingest.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            host, _, *rest = address
            with _socket(family, kind, protocol) as alone:
                alone.bind((host, port, *rest))
                alone.listen(1)  # only now the kernel asks everybody who holds the address
                port = alone.getsockname()[1]
            ours = held.enter_context(_socket(family, kind, protocol))
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            ours.bind((host, port, *rest))
            # Bound and deaf. Without the option whoever wants the address alone is refused, also while nobody listens.
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        yield port


def environment(settings: Settings, port: int) -> dict[str, str]:
    """Ours, with the port of `reserved` for several front doors."""
    return {**os.environ, **({"LEADFOLD_INGEST__PORT": str(port)} if settings.ingest.processes > 1 else {})}


def _socket(family: int, kind: int, protocol: int) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: connections that ended linger
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
