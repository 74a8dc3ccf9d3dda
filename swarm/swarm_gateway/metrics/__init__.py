"""Metrics for Prometheus: what is stored, read when it is asked for, and what this process has seen."""
