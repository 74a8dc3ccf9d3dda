"""What `celery -A swarm_workers.entry worker` loads: the app with its tasks and its heartbeat."""

from __future__ import annotations

import os

# OpenBLAS with two threads on a busy two-core machine makes a product of a matrix and a vector 23 times
# slower; it reads these once, when NumPy loads, so they must be set before the imports below.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from swarm.settings import load_settings  # noqa: E402  # see above
from swarm_workers import heartbeat, remote, role_tasks, tasks, traces  # noqa: E402  # see above
from swarm_workers.app import create_app  # noqa: E402  # see above
from swarm_workers.logs import format_logs  # noqa: E402  # see above
from swarm_workers.plan import plan_of  # noqa: E402  # see above

_plan, _settings = plan_of(), load_settings()
format_logs(_settings)
app = create_app(_settings, _plan.role if _plan else "")
if _plan is None:
    tasks.register(app)
else:
    role_tasks.register(app, _plan)
heartbeat.register(app)
remote.register()
traces.register()
