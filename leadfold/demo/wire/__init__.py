"""Wire formats of the simulated providers, one module each, by their own documentation (docs/providers)."""
