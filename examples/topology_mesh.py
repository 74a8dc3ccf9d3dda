"""A mesh: five ways to guess the delimiter of a table vote, and the swarm learns which of them to believe.

swarm up && python examples/topology_mesh.py
"""

from __future__ import annotations

import csv
import os
import statistics
from collections import Counter
from pathlib import Path

from swarm.services.swarm import Swarm
from swarm.services.topologies import Mesh, members
from swarm.services.topologies.mesh import MeshReport
from swarm_cli.worker_agents import FACTORY
from swarm_workers.handlers import Task, handler
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

HERE = Path(__file__)
ROLE = "guesser"
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
TABLES = {
    "semicolon": "name;price\ntea;1,50 hot, 1,20 cold\nsoup;3,20 the day, with bread\ncake;2,80 apple, plum\n",
    "comma": "city,year,title\nBern,1848,capital; seat of government\nRome,1871,capital\nParis,987,capital\n",
    "tab": "key\tvalue, in words\na, b\tone, 1\nc, d\ttwo, 2\ne, f\tthree, 3\n",
    "pipe": "host|up|load\nweb-1|12 days, 3 h|0,4, 0,5\nweb-2|1 day, 9 h|1,9, 2\ndb|40 days, 2 h|0,7, 1\n",
}


def frequency(text: str) -> str:
    """The sign there is most of."""
    return Counter(sign for sign in text if sign in NAMES).most_common(1)[0][0]


def first_line(text: str) -> str:
    """The sign there is most of in the heading."""
    return frequency(text.partition("\n")[0])


def every_line(text: str) -> str:
    """The sign that comes equally often in all lines."""
    lines = text.splitlines()
    spread = {sign: statistics.pstdev(line.count(sign) for line in lines) for sign in NAMES if sign in text}
    return min(spread, key=lambda sign: (spread[sign], -text.count(sign)))


def columns(text: str) -> str:
    """The sign by which all rows have the same number of columns, as the `csv` module reads them."""
    lines = text.splitlines()
    widths = {sign: {len(row) for row in csv.reader(lines, delimiter=sign)} for sign in NAMES}
    return max(NAMES, key=lambda sign: (len(widths[sign]) == 1, max(widths[sign])))


def sniffer(text: str) -> str:
    """What the `csv` module itself takes it for."""
    return csv.Sniffer().sniff(text, delimiters="".join(NAMES)).delimiter


WAYS = {way.__name__: way for way in (frequency, first_line, every_line, columns, sniffer)}


@handler(ROLE)
def guess(task: Task) -> str:
    """What each member does: its own way."""
    return NAMES[WAYS[task.agent](task.payload["given"]["table"])]


def run(swarm: Swarm, job: str, table: str, role: str = ROLE) -> MeshReport:
    mesh = Mesh(swarm, job, members=members(role, *WAYS), choices=len(NAMES), grace=5.0)
    return mesh.run("which sign separates the columns of this table?", {"table": table})


def main() -> None:
    swarm, right = Swarm(), 0
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    with PoolManager(swarm.settings) as pools:
        pools.start(ROLE, 2, plan=RolePlan(role=ROLE, handlers=(HERE.stem,), factory=FACTORY))
        try:
            for name, table in TABLES.items():
                report = run(swarm, f"guess-{name}", table)
                wrong = [verdict.agent for verdict in report.execution.agents if not verdict.agrees]
                print(f"{report.result}, against {', '.join(wrong) or 'nobody'}")
                right += report.result == name
        finally:
            pools.drain(ROLE)
    print(f"{right} of {len(TABLES)} right; believed: {_shown(report.execution.reliabilities)}")


def _shown(reliabilities: object) -> str:
    assert isinstance(reliabilities, dict)
    return ", ".join(f"{name} {value:.2f}" for name, value in sorted(reliabilities.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
