"""The heart of Leadfold: events, identities, rules and the fold. No I/O, no clock, no database."""
