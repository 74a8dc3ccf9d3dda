"""What a swarm tells of its own work: spans for OpenTelemetry, and logs."""
