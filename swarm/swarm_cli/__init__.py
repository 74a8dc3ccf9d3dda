"""The command line `swarm`, and the local runtime that it brings up and down.

main      the commands by name, each loaded when it is called
commands  one module for each command
local     Redis and workers on this machine
demo      the whole loop on real text
"""
