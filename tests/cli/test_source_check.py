"""The trial of `leadfold sources check`: it brings the key wherever the source's options want it, and makes no events."""

import pytest

from ingest.adapters.registry import adapters
from leadfold.settings import Settings, Source
from leadfold.source_check import trial
from leadfold.source_settings import source_config
from tests.ingest.support import delivery

PLACES: list[dict[str, str]] = [
    {},
    {"key_in": "header", "key_name": "Token"},
    {"key_in": "header", "key_name": "X-Key", "key_value": "what the provider sends"},
    {"key_in": "query", "key_name": "key"},
    {"key_in": "body", "key_name": "apikey", "key_value": "a&b=c"},
]


#: Who can be told to put a key into the body of what he sends.
KEYED = ("tilda", "form")
TRIALS = [
    (provider, options)
    for provider in ("sipuni", "sipuni-tracking", "jivo", *KEYED)
    for options in PLACES
    if options.get("key_in") != "body" or provider in KEYED
]


@pytest.mark.parametrize(("provider", "options"), TRIALS)
def test_the_trial_brings_the_key(provider: str, options: dict[str, str]) -> None:
    secret = "a-long-random-text-1"
    source = Source.model_validate(
        {"name": "main", "provider": provider, "secret": secret, "options": options}
    )
    settings = Settings.model_validate({"secrets": {"key_secret": "k" * 32}})
    config = source_config(source, settings)
    method, target, headers, body = trial(source, settings)
    path, _, query = target.partition("?")
    one = delivery(provider, method=method, path=path, query=query, headers=headers, body=body, config=config)
    adapter = adapters()[provider]
    assert adapter.authenticate(one)
    assert adapter.translate(one).probe
