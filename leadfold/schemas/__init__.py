"""The published contracts, made from the code: ``python -m leadfold.schemas [--check]``.

- ``schemas/events/<type>.v<n>.json``: JSON Schema of the value of a record, one for every version ever written;
- ``schemas/asyncapi.yaml``: the topic;
- ``schemas/openapi.json``: the HTTP interfaces;
- ``schemas/golden/events.jsonl``: at least one record of every event version ever written, and what it says.

Files of old versions are never touched. A change that readers of older events could not survive is refused.
"""
