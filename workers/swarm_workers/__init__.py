"""Celery workers of a swarm: the app, its tasks, the heartbeat, and worker pools by name.

Nothing is imported here: `entry` must pin the thread counts before anything loads NumPy.
"""
