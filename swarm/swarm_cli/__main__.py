"""`python -m swarm_cli` is `swarm`."""

from swarm_cli.main import main

main()
