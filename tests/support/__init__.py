"""What fixtures are made of: a real Kafka, a real Postgres, a real browser."""
