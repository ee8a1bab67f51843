"""Speed, measured side by side on one machine: ``python -m tests.bench`` (docs/benchmarks.md).

Every row stands beside something that a reader can judge: a floor of some lines that does less, or a package from PyPI
that does something alike. Both run in turn, three times, and the ratio is the median of the ratios of the rounds.
"""
