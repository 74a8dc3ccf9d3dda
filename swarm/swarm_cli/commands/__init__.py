"""The commands of `swarm`, one module each; `command` in it is what `swarm_cli.main` loads."""
