from __future__ import annotations

import numpy as np
import pytest

from swarm.embed import TASK_TYPES, HashedEmbedder, TaskTypes, WordLlamaEmbedder
from swarm.embed.task_prototypes import PROTOTYPES
from swarm.errors import BoundsError, ShapeError

# Written before the first measurement; prototypes and margin were chosen on other sentences.
SENTENCES = [
    ("Reasoning", "Three friends split a bill of 84 euros in the ratio 2 to 3 to 7; how much does each pay?"),
    ("Reasoning", "Show that the sum of two odd numbers is always even."),
    ("Reasoning", "If every bloop is a razzle and no razzle is a lop, can a bloop be a lop?"),
    ("Reasoning", "Analyse which of these causes best explains the outage and why the others do not."),
    ("Reasoning", "Should we rent or buy, given these costs over ten years? Justify the choice."),
    ("Reasoning", "A train leaves at noon and another one an hour later at twice the speed; when do they meet?"),
    ("Reasoning", "Determine the minimum number of moves that solves the puzzle."),
    ("Factual", "What is the currency of Japan?"),
    ("Factual", "Who painted the Mona Lisa?"),
    ("Factual", "When was the telephone invented?"),
    ("Factual", "Which element has the atomic number 26?"),
    ("Factual", "How deep is the Mariana Trench?"),
    ("Factual", "Where were the 1992 Summer Olympics held?"),
    ("Factual", "What is the definition of inflation?"),
    ("Creative", "Write a sonnet about winter in the mountains."),
    ("Creative", "Tell me a fairy tale in which the wolf is the hero."),
    ("Creative", "Create a slogan for a bakery that only opens at night."),
    ("Creative", "Imagine that cats could talk and describe their first parliament."),
    ("Creative", "Compose a lullaby for a baby whale."),
    ("Creative", "Write a monologue for a villain who regrets everything."),
    ("Creative", "Think of five whimsical names for a magical forest."),
    ("CodeGen", "Implement binary search in Go."),
    ("CodeGen", "Write a pytest fixture that starts a temporary database."),
    ("CodeGen", "Refactor the payment module to use dependency injection."),
    ("CodeGen", "Why does this JavaScript promise never resolve? Fix the code."),
    ("CodeGen", "Create an SQL migration that adds an index to the orders table."),
    ("CodeGen", "Write a bash script that removes log files older than a week."),
    ("CodeGen", "Add type annotations to this Python class."),
    ("Conversational", "Hello! Nice to see you again."),
    ("Conversational", "How are you feeling this morning?"),
    ("Conversational", "Thanks, that made my day!"),
    ("Conversational", "Do you have any hobbies?"),
    ("Conversational", "I had a rough day at work, can I tell you about it?"),
    ("Conversational", "Okay, bye, have a nice evening!"),
    ("Conversational", "Lol, you are so funny."),
    ("General", "Cancel my subscription at the end of the month."),
    ("General", "Convert the invoice to PDF and archive it."),
    ("General", "Remind me to water the plants on Friday."),
    ("General", "Translate the second paragraph into Spanish."),
    ("General", "Order two boxes of printer paper."),
    ("General", "Summarise this article in three sentences."),
    ("General", "Move the meeting with the suppliers to Tuesday."),
]


def test_types_are_the_six_of_the_reasoning_bank() -> None:
    assert TASK_TYPES == ("General", "Reasoning", "Factual", "Creative", "CodeGen", "Conversational")


def test_types_have_equally_many_prototypes_and_none_is_a_test_sentence() -> None:
    assert {len(group) for group in PROTOTYPES.values()} == {12}
    sentences = [sentence for group in PROTOTYPES.values() for sentence in group]
    assert len(set(sentences)) == len(sentences)
    assert not set(sentences) & {text for _, text in SENTENCES}


def accuracy(embedder: WordLlamaEmbedder | HashedEmbedder) -> float:
    types = TaskTypes(embedder)
    vectors = embedder.embed([text for _, text in SENTENCES])
    return float(np.mean([types.infer(vector) == name for vector, (name, _) in zip(vectors, SENTENCES, strict=True)]))


def test_wordllama_tells_most_sentences(wordllama: WordLlamaEmbedder) -> None:
    # measured: 35 of 42
    assert accuracy(wordllama) >= 0.78


def test_hashed_tells_more_than_half() -> None:
    # measured: 31 of 42; always General would be 7
    assert accuracy(HashedEmbedder()) >= 0.65


def test_every_type_is_told(wordllama: WordLlamaEmbedder) -> None:
    types = TaskTypes(wordllama)
    assert {types.infer(wordllama.embed_one(text)) for _, text in SENTENCES} == set(TASK_TYPES)


def test_prototypes_are_of_their_own_type(wordllama: WordLlamaEmbedder) -> None:
    types = TaskTypes(wordllama)
    told = [types.infer(wordllama.embed_one(text)) == name for name, group in PROTOTYPES.items() for text in group]
    assert np.mean(told) > 0.9


def test_no_direction_is_general() -> None:
    assert TaskTypes(HashedEmbedder(64)).infer(np.zeros(64, dtype=np.float32)) == "General"


def test_length_of_the_vector_does_not_matter_and_it_is_left_alone(wordllama: WordLlamaEmbedder) -> None:
    types, vector = TaskTypes(wordllama), wordllama.embed_one("Write a poem about rain.")
    before = vector.copy()
    assert types.infer(vector) == types.infer(vector * np.float32(50.0)) == "Creative"
    np.testing.assert_array_equal(vector, before)


def test_bad_vectors_are_refused() -> None:
    types = TaskTypes(HashedEmbedder(64))
    with pytest.raises(ShapeError, match=r"vector must have shape \(64,\), got \(63,\)"):
        types.infer(np.ones(63, dtype=np.float32))
    with pytest.raises(BoundsError, match="vector must be finite"):
        types.infer(np.full(64, np.nan, dtype=np.float32))


def test_many_at_once_are_told_like_one_by_one() -> None:
    embedder = HashedEmbedder(64)
    types = TaskTypes(embedder)
    vectors = embedder.embed([sentence for group in PROTOTYPES.values() for sentence in group])
    assert types.infer_all(vectors) == [types.infer(vector) for vector in vectors]
    assert types.infer_all(vectors[:0]) == []
