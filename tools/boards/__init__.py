"""Grafana boards from one source: what is shown is said once, and asked of InfluxDB and of Prometheus alike."""
