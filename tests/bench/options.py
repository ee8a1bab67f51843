"""How long and how much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of a run. The defaults take about five minutes on two quiet cores; ``full`` is what the aims speak of."""

    seconds: float = 3.0  # of each burst of load
    clients: int = 3_000  # whose facts are projected live (12 each)
    rebuild_facts: int = 60_000
    inquiries: int = 200_000
    kept: str = ""  # folder in which the report's database stays for the next run
    per_s: float = 1_000.0  # webhooks a second while freshness is measured
    fresh_s: float = 8.0

    @classmethod
    def full(cls) -> "Options":
        """The sizes of the aims; takes an hour."""
        return cls(seconds=10, clients=100_000, rebuild_facts=1_000_000, inquiries=1_000_000, fresh_s=30)
