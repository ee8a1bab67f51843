"""Writes the archive of Kafka's classes with which a local broker starts in two thirds of the CPU time.

Run as ``python -m deploy.kafka.archive``, after ``make kafka-jars``; ``make test`` and ``make kafka`` do. The archive holds the
classes that one start of a broker loads, checked and laid out for this very JVM and these very jars (the JVM's class data
sharing): it is made on the machine that uses it, and a broker starts without it all the same.
"""

import logging
import sys
import tempfile
from pathlib import Path

from deploy.kafka.broker import ARCHIVE, LIBS, BrokerUnavailableError, LocalBroker, free_ports

#: To end takes longer than usual: the archive is written then.
_STOP_S = 180.0


def write(libs: Path = LIBS) -> Path | None:
    """Start a broker from these jars on an empty folder, end it, and keep its classes; the archive's path.

    None: this JVM writes none.

    Raises:
        BrokerUnavailableError: no jars or Java, or the broker does not start.
    """
    archive = libs.parent / ARCHIVE
    archive.unlink(missing_ok=True)  # a broker that starts on one writes none
    port, controller_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / ARCHIVE
        broker = LocalBroker(
            Path(folder) / "kafka",
            port,
            controller_port,
            libs=libs,
            jvm_options=("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-XX:ArchiveClassesAtExit={made}"),
        )
        try:
            broker.start()
        finally:
            broker.stop(_STOP_S)
        if not made.exists():
            return None
        # not a move: the folder may be on another disk, and nobody may find half of it
        part = archive.with_suffix(".part")
        part.write_bytes(made.read_bytes())
        return part.replace(archive)


def main() -> int:
    """Write it; the exit code is 0 also where this JVM writes none, for everything works without."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its probes fail until the broker is up
    try:
        written = write()
    except BrokerUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    if written is None:
        print("this Java writes no archive of classes: Kafka starts without one", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
