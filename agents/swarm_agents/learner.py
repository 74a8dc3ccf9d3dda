"""What an agent has learned, in this process: its adapter, which follows the committed weights."""

from __future__ import annotations

import threading

import numpy as np

from swarm.services.swarm import Swarm
from swarm.sona.adapter import Adapter
from swarm.sona.background import MICRO_KEEP
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector


class Learner:
    """The adapter of one agent; safe to use from several threads.

    `generation` and `life` are the agent's as last seen, `updates` counts the steps of the instant loop.
    """

    def __init__(self, agent: str, swarm: Swarm, config: SonaConfig) -> None:
        self._agent = agent
        self._swarm = swarm
        self._lock = threading.Lock()
        self._weights_generation = 0
        self._reset_generation = 0
        self.generation = 0
        self.life = 0
        self.updates = 0
        self.configure(config)

    def configure(self, config: SonaConfig) -> None:
        """Begin anew with this configuration. The seed is the swarm's, so every process begins alike."""
        self.config = config
        self.adapter = Adapter.initial(config, np.random.default_rng(config.seed))

    def begin_anew(self) -> None:
        """Drop everything that was learned: the agent was forgotten."""
        with self._lock:
            self.configure(self.config)
            self._weights_generation = self._reset_generation = 0

    def bend(self, query: Vector, *, is_own_alone: bool = False) -> Vector:
        """The adapted query, of shape (d,): by all who know what it asks for, or by this agent's adapter alone."""
        with self._lock:
            if is_own_alone:
                return self.adapter.apply(query)
            return self._swarm.replica.bend(query, self.adapter, self._agent)

    def micro(self) -> LoraPair:
        """A copy of the micro tier as it is now."""
        with self._lock:
            return self.adapter.micro.copy()

    def learn(self, trajectory: Trajectory) -> None:
        """One step of the micro tier, against the patterns as this process sees them."""
        with self._lock:
            self.updates += self._swarm.replica.learn(self.adapter, trajectory, self.config)

    def follow(self) -> None:
        """Pick up the base tiers of new generations, its own and those of the experts.

        With its own the micro tier shrinks, because that knows the same.
        After a rollback or a rewind the micro tier begins anew: it learned from what was taken back.
        """
        self._follow_own()
        self._swarm.replica.refresh_experts()

    def _follow_own(self) -> None:
        state = self._swarm.agents.state(self._agent)
        self.generation, self.life = state.generation, state.life
        if state.weights_generation == self._weights_generation:
            return
        weights = self._swarm.agents.weights(self._agent)
        with self._lock:
            if state.reset_generation != self._reset_generation:
                self.configure(self.config)
            if weights is not None:
                self.adapter.set_base(weights.base)
                self.adapter.decay_micro(MICRO_KEEP)
        self._reset_generation = state.reset_generation
        self._weights_generation = state.weights_generation
