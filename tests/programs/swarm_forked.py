"""`swarm` as an executable: has the server at SWARM_FORK_SERVER fork it, with these streams, and ends as it ends."""

import json
import os
import signal
import socket
import sys

caller = socket.socket(socket.AF_UNIX)
caller.connect(os.environ["SWARM_FORK_SERVER"])
request = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
socket.send_fds(caller, [json.dumps(request).encode() + b"\n"], [0, 1, 2])
with caller.makefile("rb") as answers:
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = int(answers.readline())
sys.exit(code if code >= 0 else 128 - code)
