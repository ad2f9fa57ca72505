import worker  # noqa: F401 - before numpy, whose linear algebra it gives one thread
