# mypy: ignore-errors
"""mq-bridge's part of the bench; runs in the peers' environment: BOOTSTRAP TOPIC PORT.

Its defaults wait for more records and compress them, which halves it here: both are switched off. Records are keyed by
the ids that it gives to messages; a GET has no body, so of those it stores empty records.
"""

import sys

from mq_bridge import Route

bootstrap, topic, port = sys.argv[1:4]
PRODUCER = {"linger.ms": "0", "compression.type": "none", "acks": "all", "enable.idempotence": "true"}

if __name__ == "__main__":
    kafka = {
        "url": bootstrap,
        "topic": topic,
        "create_topic": False,
        "producer_options": [[name, value] for name, value in PRODUCER.items()],
    }
    listens = {"url": f"127.0.0.1:{port}", "concurrency_limit": 1000, "internal_buffer_size": 1000}
    Route.from_config({"input": {"http": listens}, "output": {"kafka": kafka}, "batch_size": 128}).run()
