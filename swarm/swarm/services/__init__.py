"""Services over the stores, without Celery: recording, queries, consolidation, merge, status.

swarm        `Swarm`: queries, patterns, receipts     consolidate  one agent's stream -> a generation
replica      the bank in this process                 merge        generations -> the shared bank
router       which route a task goes to               background   what is due, for workers
hits         what a query answers                     labels       human labels of patterns
receipts     what became of an outcome                status       how the swarm stands
tasks        tasks for agents, and the dead ones
"""
