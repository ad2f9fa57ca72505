"""How the worker is deployed: a chart, a container image, a compose file."""
