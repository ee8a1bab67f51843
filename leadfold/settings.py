"""Every setting of Leadfold, typed: ``leadfold.toml`` plus environment (design §2).

The file is read by `leadfold.config_file`, which turns every problem into file, line and reason. A value from the
environment beats the file: ``LEADFOLD_DATA_DIR``, ``LEADFOLD_DATABASE_URL``, and any other as ``LEADFOLD_`` plus its
path with two underscores between the parts (``LEADFOLD_INGEST__PORT``, ``LEADFOLD_LOG__ENGINE``).
Durations end in ``_s`` and are seconds; sizes end in ``_bytes``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from leadfold.directory_settings import Category, Employee, Number, Office, Plan, Reason, RuleSet, Stage
from leadfold.field_types import Host, Loopback, Name, Port, Region, Zone


class Section(BaseModel):
    """A table of the file. Unknown keys are refused: a misspelt setting must not be silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Company(Section):
    """The company whose clients are counted."""

    name: str = Field("Моя компания", description="shown in the pages and reports")
    timezone: Zone = Field("Europe/Moscow", description="days begin and end by this clock (G1)")
    region: Region = Field("RU", description="country of telephone numbers written without a country code")


class Log(Section):
    """The event log. ``embedded``: a file in the data folder. ``kafka``: a topic of yours."""

    engine: Literal["embedded", "kafka"] = "embedded"
    bootstrap: str = Field("localhost:9092", description="host:port of one or more brokers, with commas")
    topic: str = Field("leadfold.events", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    partitions: int = Field(12, ge=1, le=1000, description="how many the topic has; checked at start")
    replication: int = Field(
        1, ge=1, le=10, description="copies of each partition, for `leadfold log create`"
    )
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = Field(None, description="certificates to trust; absent: those of the system")
    cert_file: Path | None = Field(None, description="our own certificate, if the brokers ask for one")
    key_file: Path | None = Field(None, description="the key of our certificate")


class Database(Section):
    """Postgres for the read models. An empty ``url`` means the embedded server in the data folder."""

    url: SecretStr = Field(SecretStr(""), description="postgresql://user:password@host/database")
    statement_timeout_s: float = Field(30, gt=0, description="limit of one `leadfold sql` query")


class Ingest(Section):
    """The front door for webhooks."""

    host: Host = "0.0.0.0"  # noqa: S104 - webhooks come from outside
    port: Port = 8080
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="front doors that share address and limits, each a process with a spool of its own (Linux)",
    )
    public_url: str = Field(
        "", pattern=r"^(https?://[^\s]+)?$", description="how providers reach us, if not http://host:port"
    )
    status_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="where commands on other machines ask how it is (its ops address, further processes at the next "
        "ports); empty: on this one",
    )
    ops_host: Host = Field("127.0.0.1", description="address of its /metrics and detailed /readyz")
    ops_port: Port = Field(
        8083,
        description="their port, the next ones for further processes; left out, another one is taken when this is in "
        "use; 0: the system chooses",
    )
    deadline_s: float = Field(
        2.0, gt=0, le=60, description="a delivery is answered within this time (design §4)"
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, le=3_145_728)
    max_fields: int = Field(2000, ge=10)
    max_depth: int = Field(12, ge=2, le=100)
    max_batch: int = Field(500, ge=1, le=10_000, description="events in one POST /v1/events")
    max_in_flight: int = Field(
        2000,
        ge=10,
        description="deliveries at the same time, half of them of one source; more get 503 and Retry-After",
    )
    max_connections: int = Field(
        10_000, ge=10, description="open connections; beyond it those that were idle longest are closed"
    )
    read_timeout_s: float = Field(
        10.0,
        gt=0,
        description="until the head of a request, then its body must have come, and its answer been read",
    )
    idle_timeout_s: float = Field(
        75.0,
        gt=0,
        description="a connection without requests is closed; longer than the proxy before us keeps one",
    )
    rate_per_s: float = Field(5000, ge=0, description="deliveries a second from one source; 0: no limit")
    rate_burst: int = Field(20_000, ge=1, description="deliveries at once from one source")
    spool_max_bytes: int = Field(
        1_073_741_824, ge=1_048_576, description="room for deliveries while the log is away"
    )
    accept_received_header: bool = Field(
        False, description="only to replay history or in tests: X-Leadfold-Received says when a delivery came"
    )


class Reports(Section):
    """The pages. There is no login yet, so only addresses of this machine are allowed."""

    host: Loopback = "127.0.0.1"
    port: Port = 8081
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="how readers reach the pages, if not http://host:port: stands in links of Excel and of commands",
    )
    status_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="where commands on other machines ask how they are; empty: on this one",
    )


class Projector(Section):
    """From the log to the read models."""

    host: Host = Field("127.0.0.1", description="address of its /healthz, /readyz and /metrics")
    port: Port = 8082
    status_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="where commands on other machines ask how it is; empty: on this one",
    )
    batch: int = Field(2000, ge=1, le=20_000, description="events folded in one transaction")
    dead_in_a_row: int = Field(
        100, ge=1, description="it stops when so many events in a row could not be folded"
    )
    dead_ratio: float = Field(
        0.5, gt=0, le=1, description="it stops when more than this share of events could not"
    )
    rebuild_workers: int = Field(2, ge=1, le=64, description="processes that fill a new build")


class Secrets(Section):
    """Keys of this installation. They are made once by `leadfold init` and must never change."""

    key_secret: SecretStr = Field(
        min_length=32,
        description="keyed hash that spreads clients over partitions: no personal data in Kafka keys",
    )


class Logging(Section):
    """Our own running commentary, JSON lines without personal data."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    files: bool = Field(True, description="`leadfold run` also keeps logs/*.jsonl in the data folder")


class Source(Section):
    """One stream of deliveries: an account of a provider, or one sender of the native contract."""

    name: Name
    provider: str = Field(description="whose deliveries: the adapters of `ingest.adapters`, or native")
    secret: SecretStr = Field(
        min_length=16, description="part of the address, or the bearer key of a native source"
    )
    timezone: Zone | None = Field(
        None, description="clock of the times that the provider gives without a zone"
    )
    office: str | None = None
    channel: str | None = Field(None, description="traffic source of its inquiries, if it is always the same")
    signing_secret: SecretStr | None = Field(None, description="native: Standard Webhooks secret (whsec_…)")
    options: dict[str, str | int | bool] = Field(
        default_factory=dict, description="what the provider's adapter knows"
    )


def _absolute(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) and value else value


class Settings(BaseSettings):
    """All settings. Make it with `leadfold.config_file.load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="LEADFOLD_", env_nested_delimiter="__", env_ignore_empty=True
    )

    data_dir: Annotated[Path, BeforeValidator(_absolute)] = Field(
        Path("data"), description="everything that Leadfold keeps; relative to leadfold.toml"
    )
    company: Company = Company()
    log: Log = Log()
    database: Database = Database()
    ingest: Ingest = Ingest()
    reports: Reports = Reports()
    projector: Projector = Projector()
    secrets: Secrets
    logging: Logging = Logging()
    sources: tuple[Source, ...] = ()
    offices: tuple[Office, ...] = ()
    employees: tuple[Employee, ...] = ()
    numbers: tuple[Number, ...] = ()
    stages: tuple[Stage, ...] = ()
    reasons: tuple[Reason, ...] = ()
    categories: tuple[Category, ...] = ()
    rules: RuleSet = RuleSet()
    plans: tuple[Plan, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file: a container overrides one value without a file of its own."""
        return env_settings, init_settings

    @property
    def embedded_postgres(self) -> bool:
        """Whether Leadfold brings its own Postgres."""
        return not self.database.url.get_secret_value()

    @property
    def embedded_log(self) -> bool:
        """Whether the event log is a file in the data folder."""
        return self.log.engine == "embedded"

    @property
    def ops_port(self) -> tuple[int, bool]:
        """Where ingest, or its first process, tells of itself, and whether only there: see `_health_port`."""
        return self.ops_port_of(1)

    def ops_port_of(self, number: int) -> tuple[int, bool]:
        """`ops_port` of the process of this number, from 1 on: each has the port after that of the one before."""
        if not self.ingest.port and "ops_port" not in self.ingest.model_fields_set:
            return 0, False
        return self._health_port(self.ingest, "ops_port", number - 1)

    @property
    def projector_port(self) -> tuple[int, bool]:
        """Where the projector tells of itself, and whether only there: see `_health_port`."""
        return self._health_port(self.projector, "port")

    def _health_port(self, section: Ingest | Projector, name: str, after: int = 0) -> tuple[int, bool]:
        """A port that somebody set is meant; a default one gives way, so that a second installation just runs."""
        port: int = getattr(section, name)
        port += after if port else 0  # 0: the system chooses each
        if name in section.model_fields_set:
            return port, True
        meant = {self.ingest.port, self.reports.port}
        meant |= {
            getattr(other, n)
            for other, n in ((self.ingest, "ops_port"), (self.projector, "port"))
            if other is not section and n in other.model_fields_set
        }
        return (0 if port in meant else port), False

    def source(self, name: str) -> Source | None:
        """The source of this name."""
        return next((s for s in self.sources if s.name == name), None)

    @property
    def ingest_url(self) -> str:
        """Address by which providers reach the front door, without a slash at the end."""
        if self.ingest.public_url:
            return self.ingest.public_url.rstrip("/")
        return f"http://{local_host(self.ingest.host)}:{self.ingest.port}"

    @property
    def reports_url(self) -> str:
        """Address by which readers reach the pages, without a slash at the end."""
        if self.reports.public_url:
            return self.reports.public_url.rstrip("/")
        return f"http://{local_host(self.reports.host)}:{self.reports.port}"


def local_host(host: str) -> str:
    """An address under which this machine reaches a listener on ``host``, as it stands in a URL."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - the wildcard is compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
