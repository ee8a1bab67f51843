"""The demo's simulated providers: the life of an auto service, told as real webhooks (used by the demo, tests and soak)."""
