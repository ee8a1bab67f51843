"""What to do with a test whose server or browser cannot be had on this machine."""

import os
from typing import NoReturn

import pytest


def unavailable(what: str, reason: str) -> NoReturn:
    """End the test: as skipped on a developer's machine, as failed where ``REQUIRE_<WHAT>=1`` says it must run.

    `make test` and CI set REQUIRE_KAFKA and REQUIRE_BROWSER, so there a missing broker cannot pass for success.
    """
    message = f"no {what} here: {reason}"
    if os.environ.get(f"REQUIRE_{what.upper()}") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
