"""Prometheus rules and the Grafana dashboard, as code: `make monitoring` writes both."""
