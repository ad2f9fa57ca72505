"""The chart's values as models: `values.yaml`, its schema and its README are made from them."""
