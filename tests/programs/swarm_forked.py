"""`swarm` as an executable: `swarm_forked.py FOLDER ARGUMENT...` has the server of this folder fork it.

An environment in which an interpreter would start otherwise than the server did has it started as usual.
"""

import json
import os
import signal
import socket
import sys


def main(folder: str, arguments: list[str]) -> int:
    """Have it run; the code that it ended with."""
    with open(f"{folder}/read-once.json") as file:
        begins, values = json.load(file)
    if values != {name: value for name, value in os.environ.items() if name.startswith(tuple(begins))}:
        os.execv(sys.executable, [sys.executable, "-m", "swarm_cli", *arguments])
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(f"{folder}/socket")
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    socket.send_fds(caller, [json.dumps(request).encode() + b"\n"], [0, 1, 2])
    with caller.makefile("rb") as answers:
        pid = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        code = int(answers.readline())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
