"""Hooks of coding agents: what Claude Code, Codex and Cursor do becomes experience, and is told them.

events      what happened, in one form for all of them; claude_code and cursor read and word theirs
rewards     what a tool's result says
verdict     what all of it says of a task
context     what the swarm knows, worded for the agent
sessions    the tasks under way, in memory and in Redis
turns       a task begun, stepped, reported, given up
recorder    what each event does
service     the answer within a deadline, whatever happens behind it
replay      events that waited in a file while the gateway was away
"""
