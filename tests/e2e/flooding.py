"""One source gone wild: ``python -m tests.e2e.flooding URL SECONDS CONNECTIONS`` posts as fast as it is answered."""

import asyncio
import json
import sys
import time
from collections import Counter
from urllib.parse import urlsplit


async def flood(url: str, seconds: float, connections: int) -> Counter[str]:
    """How often each status was answered."""
    parts = urlsplit(url)
    body = b"phone=89990000001&name=Ivan&number=%d"
    found: Counter[str] = Counter()
    ends = time.monotonic() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while time.monotonic() < ends:
            number += 1_000
            sent = body % number
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (parts.path.encode(), len(sent), sent)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            status = head.split()[1].decode()
            found[status] += 1
            if status in ("429", "503"):
                found["without Retry-After"] += b"retry-after:" not in head.lower()
        writer.close()

    await asyncio.gather(*(one(n) for n in range(connections)))
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(flood(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))))
