"""`make k8s`: the chart on a real API server; nothing here runs in `make test`."""
