"""Dealing a corpus: what is known, what is met by whom, what is held out."""

from __future__ import annotations

from collections import Counter

import pytest

from swarm.errors import BoundsError, InputError
from swarm_cli.demo.corpus import Corpus, Request
from swarm_cli.demo.split import SEEDS_PER_LABEL, Split, make_split


def corpus_of(labels: int, each: int, held_out: int = 0) -> Corpus:
    requests = [Request(text=f"text {n} of {k}", label=f"label-{k:02d}") for k in range(labels) for n in range(each)]
    test = tuple(
        Request(text=f"held {n} of {k}", label=f"label-{k:02d}") for k in range(labels) for n in range(held_out)
    )
    return Corpus(name="made", requests=tuple(requests), held_out=test or None)


def own_labels(split: Split, agent: int) -> set[str]:
    return {task.request.label for task in split.stream[: split.own_share_tasks] if task.agent_index == agent}


def test_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    corpus = corpus_of(12, 30)
    assert make_split(corpus, 4, 7) == make_split(corpus, 4, 7)
    assert make_split(corpus, 4, 7) != make_split(corpus, 4, 8)


def test_a_fifth_of_every_label_is_held_out_and_appears_nowhere_else() -> None:
    split = make_split(corpus_of(12, 30), 4, 0)
    assert Counter(request.label for request in split.held_out) == dict.fromkeys(split.labels, 6)
    met = {task.request for task in split.stream} | set(split.seeds)
    assert not met & set(split.held_out)
    assert len(met) == 12 * 24


def test_the_corpus_own_held_out_part_is_kept() -> None:
    corpus = corpus_of(12, 30, held_out=2)
    split = make_split(corpus, 4, 0)
    assert split.held_out == corpus.held_out
    assert len({task.request for task in split.stream}) + len(split.seeds) == len(corpus.requests)


def test_seeds_are_five_of_each_label_and_do_not_come_again() -> None:
    split = make_split(corpus_of(12, 30), 4, 0)
    assert Counter(request.label for request in split.seeds) == dict.fromkeys(split.labels, SEEDS_PER_LABEL)
    assert not set(split.seeds) & {task.request for task in split.stream}


def test_at_first_each_agent_meets_only_its_own_share_of_the_labels() -> None:
    split = make_split(corpus_of(12, 30), 4, 0)
    shares = [own_labels(split, agent) for agent in range(4)]
    assert [len(share) for share in shares] == [3, 3, 3, 3]
    assert set.union(*shares) == set(split.labels)


def test_own_share_is_a_third_of_several_passes_and_half_of_one() -> None:
    one_pass = 12 * (24 - SEEDS_PER_LABEL)
    several = make_split(corpus_of(12, 30), 4, 0, tasks=3 * one_pass)
    assert (len(several.stream), several.own_share_tasks) == (3 * one_pass, one_pass)
    single = make_split(corpus_of(12, 30), 4, 0, tasks=one_pass)
    assert (len(single.stream), single.own_share_tasks) == (one_pass, one_pass // 2)


@pytest.mark.parametrize("agents", [2, 8, 12, 40])
def test_a_sixth_of_the_labels_is_kept_away_from_each_agent_and_taught_by_others(agents: int) -> None:
    split = make_split(corpus_of(12, 30), agents, 0, tasks=9_000)
    for agent in range(agents):
        assert len(split.kept_away[agent]) == 2
        assert split.unseen_labels(agent) == split.kept_away[agent]
    assert {task.request.label for task in split.stream} == set(split.labels)
    assert len(set(split.kept_away)) > 1


def test_one_agent_meets_every_label() -> None:
    split = make_split(corpus_of(12, 30), 1, 0)
    assert split.unseen_labels(0) == frozenset()


def test_unseen_labels_shrink_with_the_stream() -> None:
    split = make_split(corpus_of(12, 30), 4, 0)
    assert split.unseen_labels(1, tasks_done=0) == frozenset(split.labels)
    after_own_share = split.unseen_labels(1, tasks_done=split.own_share_tasks)
    assert after_own_share == frozenset(split.labels) - own_labels(split, 1)
    assert split.unseen_labels(1) < after_own_share


def test_every_request_of_a_pass_comes_once_and_agents_share_the_work() -> None:
    split = make_split(corpus_of(12, 30), 4, 0)
    one_pass = 12 * (24 - SEEDS_PER_LABEL)
    assert len(split.stream) == 9_600 // one_pass * one_pass
    assert set(Counter(task.request for task in split.stream[:one_pass]).values()) == {1}
    load = Counter(task.agent_index for task in split.stream)
    assert max(load.values()) < 1.3 * min(load.values())


def test_tasks_cut_a_pass_or_repeat_it_and_long_corpora_are_cut_by_default() -> None:
    assert len(make_split(corpus_of(12, 30), 4, 0, tasks=50).stream) == 50
    assert len(make_split(corpus_of(12, 30), 4, 0, tasks=20_000).stream) == 20_000
    assert len(make_split(corpus_of(12, 2_000), 4, 0).stream) == 10_000


def test_tiny_corpora_still_have_a_stream() -> None:
    split = make_split(corpus_of(2, 2), 8, 0, tasks=30)
    assert len(split.stream) == 30
    assert len(split.seeds) == len(split.held_out) == 2


def test_numbers_out_of_bounds_are_refused() -> None:
    corpus = corpus_of(3, 10)
    with pytest.raises(BoundsError, match="agents must be at least 1, got 0"):
        make_split(corpus, 0, 0)
    with pytest.raises(BoundsError, match="seed must be at least 0, got -1"):
        make_split(corpus, 1, -1)
    with pytest.raises(BoundsError, match="tasks must be at least 1, got 0"):
        make_split(corpus, 1, 0, tasks=0)
    with pytest.raises(InputError, match="nothing can be held out"):
        make_split(corpus_of(3, 1), 1, 0)
