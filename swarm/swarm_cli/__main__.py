"""`python -m swarm_cli` is `swarm`."""

from swarm_cli.entry import main

if __name__ == "__main__":
    main()
