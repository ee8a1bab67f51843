"""Style sheets and scripts: read once, served under a path that holds a hash of them all, so they may be cached for ever.

One hash for the whole set: scripts import each other by relative paths and so stay together.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    type: str


class Assets:
    """All static files in memory."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        digest = sha256()
        self._files: dict[str, _File] = {}
        for path in found:
            body = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            digest.update(name.encode() + b"\0" + body)
            self._files[name] = _File(body, gzip.compress(body, mtime=0), _TYPES[path.suffix])
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Address of a file. Raises KeyError for a file that does not exist."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """``/static/{version}/{name}``; an old version is answered with today's file, not to be cached."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        current = request.match_info["version"] == self.version
        headers = {
            "Content-Type": file.type,
            "Cache-Control": _FOREVER if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=file.packed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=file.body, headers=headers)
