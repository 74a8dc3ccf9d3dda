"""`python -m swarm_cli` is `swarm`."""

from swarm_cli.main import main

if __name__ == "__main__":
    main()
