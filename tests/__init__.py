"""The tests of Leadfold: one folder per area, shared fixtures in ``conftest.py``, their machinery in ``support``."""
