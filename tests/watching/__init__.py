"""Workers under a real Prometheus that evaluates the chart's rules, faster than they are meant."""
