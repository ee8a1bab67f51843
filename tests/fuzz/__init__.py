"""``make fuzz``: the decoders and adapters by coverage, the running service by its own OpenAPI document."""
