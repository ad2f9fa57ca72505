"""Measures the worker: `make bench` and its siblings."""

import worker  # noqa: F401 - before numpy, so that its BLAS has one thread, as in a worker
