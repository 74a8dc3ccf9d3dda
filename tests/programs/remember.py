"""Write documents of one collection, some again and again, and delete some: remember.py NUMBER COUNT."""

from __future__ import annotations

import sys

from swarm.services.documents import Documents
from swarm.settings import load_settings
from swarm.store.connection import connect
from swarm.store.documents import Put
from swarm.wire.document_records import Document, Place


def main(number: str, count: int) -> None:
    documents = Documents(settings := load_settings(), connect(settings), "notes")
    for i in range(count):
        own = Place(("of", number), str(i))
        common = Place(("common",), str(i % 5))
        documents.write([Put(document=Document(place=place, value={"by": number, "i": i})) for place in (own, common)])
        if i % 3 == 0:
            documents.write([], [own])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
