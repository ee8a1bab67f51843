"""Formats bound to one reader: his language and the report's time zone. Templates call it ``f``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from reports import formats


@dataclass(frozen=True, slots=True)
class ReaderFormats:
    """``reports.formats`` in one language and zone; None is «—» everywhere."""

    lang: str
    zone: str

    def at(self, moment: datetime | None) -> str:
        """``24.03.2026 14:32``."""
        return formats.NO_VALUE if moment is None else formats.moment(moment, self.zone)

    def short(self, moment: datetime | None) -> str:
        """``24.03 14:32``."""
        return formats.NO_VALUE if moment is None else formats.moment(moment, self.zone, year=False)

    def clock(self, moment: datetime | None) -> str:
        """``24.03.2026 14:32:05``: where seconds tell things apart."""
        return formats.NO_VALUE if moment is None else f"{self.at(moment)}:{moment:%S}"

    def money(self, value: Decimal | None) -> str:
        """``912 480,00 ₽``."""
        return formats.cell(value, "money", self.lang)

    def bare(self, value: Decimal | None) -> str:
        """``912 480,00`` under a header that says ₽."""
        return formats.cell(value, "money", self.lang, bare=True)

    def count(self, value: int | None) -> str:
        """``1 234``."""
        return formats.cell(value, "count", self.lang)

    def quantity(self, value: Decimal) -> str:
        """``2`` or ``0,5``: as many decimals as there are."""
        places = max(0, -int(value.normalize().as_tuple().exponent))
        return formats.number(value, places, self.lang)

    def time(self, seconds: int | None) -> str:
        """``3:05``."""
        return formats.duration(seconds, self.lang)

    def phone(self, number: str | None) -> str:
        """``+7 903 123-45-67``."""
        return formats.phone(number)
