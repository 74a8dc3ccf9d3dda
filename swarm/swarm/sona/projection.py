"""Many dimensions in two, for a picture: what is alike lies close together, and stays where it is when more comes."""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Vector

LANDMARKS = 600
"""So many vectors are laid out; where the others lie follows from them."""
_NEAR = 5
_TEMPERATURE = 0.03
_SCATTER = 0.02
"""How far what the landmarks do not say moves a vector aside: else all of one group would lie on one point."""
_PERPLEXITY = 20.0
_ROUNDS = 400
_EXAGGERATED = 100
"""In so many rounds at the beginning neighbours attract each other more, and groups come together."""
_EXAGGERATION = 12.0
_SPREAD = 12.0
"""Standard deviation from which a layout that is there goes on, in the unit of Student's kernel."""
_JUDGED = 10


class Atlas:
    """Places in the plane for vectors of unit length.

    Landmarks are laid out by t-SNE (van der Maaten and Hinton 2008); a vector lies between the landmarks that are most
    like it. So what is projected later moves nothing that is there.

    Attributes
    ----------
    landmarks : of shape (m, d); places : where they lie, of shape (m, 2), within [-1, 1]
    kept : of the ten landmarks that are most like one, the part that is among the ten closest here; the mean, in [0, 1]
    """

    __slots__ = ("_aside", "kept", "landmarks", "places")

    def __init__(self, landmarks: Vector, places: Vector) -> None:
        self.landmarks = landmarks
        self.places = places
        self.kept = _kept(landmarks, places)
        self._aside = np.random.default_rng(0).standard_normal((landmarks.shape[1], 2)).astype(np.float32)

    @classmethod
    def of(cls, x: Vector, before: Atlas | None = None) -> Atlas:
        """The atlas of vectors `x` (n, d), n >= 1, of which the first are the landmarks.

        The layout begins where the atlas `before` has them, so that a new one looks like it; without one, in the plane
        of most variance. Equal vectors give equal pictures.
        """
        landmarks = np.ascontiguousarray(x[:LANDMARKS], dtype=np.float32)
        start = _principal(landmarks) if before is None else before.project(landmarks)
        start = start / max(float(start.std()), 1e-12)
        places = (
            _laid_out(landmarks, 1e-2 * start, _EXAGGERATED)
            if before is None
            else _laid_out(landmarks, _SPREAD * start)
        )
        places = places - (places.max(axis=0) + places.min(axis=0)) / 2.0
        return cls(landmarks, np.asarray(places / max(float(np.abs(places).max()), 1e-12), dtype=np.float32))

    def project(self, x: Vector) -> Vector:
        """Places, of shape (n, 2), of vectors `x` (n, d): means of those of the nearest landmarks, by likeness,
        and a little aside, by a fixed random projection (Johnson and Lindenstrauss 1984) of the rest.
        """
        cosines = x.dot(self.landmarks.T)
        near = np.argpartition(-cosines, min(_NEAR, cosines.shape[1]) - 1, axis=1)[:, :_NEAR]
        likeness = np.take_along_axis(cosines, near, axis=1)
        weights = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / _TEMPERATURE)
        weights /= weights.sum(axis=1, keepdims=True)
        rest = x - np.einsum("nk,nkd->nd", weights, self.landmarks[near])
        places = np.einsum("nk,nkc->nc", weights, self.places[near])
        return np.asarray(places + _SCATTER * rest.dot(self._aside), dtype=np.float32)


def _principal(x: Vector) -> Vector:
    """Places in the plane of most variance, by subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4)."""
    centred = x - x.mean(axis=0)
    width = min(8, *centred.shape)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((x.shape[1], width)).astype(np.float32))[0]
    for _ in range(20):
        basis = np.linalg.qr(centred.T.dot(centred.dot(basis)))[0]
    turn = np.linalg.svd(centred.dot(basis), full_matrices=False)[2]
    places = np.zeros((len(x), 2), dtype=np.float32)
    places[:, : min(2, width)] = centred.dot(basis.dot(turn.T[:, :2]))
    return places


def _laid_out(x: Vector, places: Vector, exaggerated: int = 0) -> Vector:
    """t-SNE of `x` (n, d) from a beginning (n, 2), of which the first rounds are `exaggerated`."""
    # Legend: p, q joint probabilities of neighbours in the many dimensions and in the two; t Student's kernel.
    n = len(x)
    if n < 3:
        return places
    p = _neighbours(x)
    y, speed, gain = places.astype(np.float32), np.zeros((n, 2), np.float32), np.ones((n, 2), np.float32)
    rate = max(50.0, n / (4.0 * _EXAGGERATION))
    for step in range(_ROUNDS):
        pull, inertia = (_EXAGGERATION, 0.5) if step < exaggerated else (1.0, 0.8)
        squares = np.einsum("nc,nc->n", y, y)
        t = y.dot(-2.0 * y.T)
        t += squares[:, None] + np.float32(1.0)
        t += squares
        np.reciprocal(t, out=t)
        np.fill_diagonal(t, 0.0)
        # (pull p - q) t, in place: these are a million numbers, four hundred times.
        force = t * np.float32(-1.0 / t.sum())
        force += np.float32(pull) * p
        force *= t
        gradient = 4.0 * (force.sum(axis=1)[:, None] * y - force.dot(y))
        # Jacobs 1988: where the direction holds, the step grows.
        gain = np.maximum(np.where(gradient * speed > 0.0, 0.8 * gain, gain + 0.2), 0.01).astype(np.float32)
        speed = inertia * speed - np.float32(rate) * gain * gradient
        y = y + speed
    return y


def _neighbours(x: Vector) -> Vector:
    """p (n, n) of unit vectors: Gaussian in the distance, each with the width that gives the perplexity."""
    n = len(x)
    distance = np.maximum(2.0 - 2.0 * x.dot(x.T), 0.0)
    np.fill_diagonal(distance, np.inf)
    wanted = np.log(min(_PERPLEXITY, (n - 1) / 3.0 + 1.0))
    low, high = np.full(n, 1e-3), np.full(n, 1e6)
    for _ in range(40):
        sharpness = np.sqrt(low * high)
        p = np.exp(-(distance - distance.min(axis=1, keepdims=True)) * sharpness[:, None])
        p /= p.sum(axis=1, keepdims=True)
        entropy = -np.sum(p * np.log(np.maximum(p, 1e-30)), axis=1)
        low, high = np.where(entropy > wanted, sharpness, low), np.where(entropy > wanted, high, sharpness)
    return np.asarray((p + p.T) / (2.0 * n), dtype=np.float32)


def _kept(x: Vector, places: Vector) -> float:
    if len(x) < 3:
        return 1.0
    count = min(_JUDGED, len(x) - 1)
    here = -np.square(places[:, None] - places[None]).sum(axis=2)
    there = x.dot(x.T)
    sets = []
    for likeness in (here, there):
        np.fill_diagonal(likeness, -np.inf)
        chosen = np.zeros(likeness.shape, dtype=np.bool_)
        np.put_along_axis(chosen, np.argpartition(-likeness, count - 1, axis=1)[:, :count], True, axis=1)
        sets.append(chosen)
    return float((sets[0] & sets[1]).sum()) / (count * len(x))
