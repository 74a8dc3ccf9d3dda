"""`swarm top`: how a swarm stands, again and again, with rates from successive states."""
