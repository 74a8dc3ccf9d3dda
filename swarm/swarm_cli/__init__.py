"""The command line `swarm`, and the local runtime that it brings up and down.

    main      the commands by name, each loaded when it is called     local     Redis and workers on this machine
    commands  one module for each command                             demo      the whole loop on real text
"""
