# mypy: ignore-errors
"""FastStream's part of the bench; runs in the peers' environment: BOOTSTRAP TOPIC PORT."""

import sys

import uvicorn
from faststream.asgi import AsgiFastStream, AsgiResponse
from faststream.kafka import KafkaBroker

bootstrap, topic, port = sys.argv[1:4]
broker = KafkaBroker(bootstrap, acks="all", enable_idempotence=True, linger_ms=0, logger=None)


async def handle(scope, receive, send):
    """Publish the body, answer when Kafka has it."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    body = body or scope["query_string"]
    await broker.publish(body, topic, key=body[-16:])
    await AsgiResponse(b"ok", status_code=200)(scope, receive, send)


app = AsgiFastStream(
    broker, asgi_routes=[("/in/site/secret", handle), ("/in/pbx/secret", handle)], logger=None
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)
