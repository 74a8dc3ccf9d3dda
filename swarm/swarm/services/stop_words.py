"""English words that say nothing of what a text is about: what a label leaves out."""

from __future__ import annotations

_ARTICLES = "a an the"
_PRONOUNS = """
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves one ones who whom whose which what that this these those someone
somebody something anyone anybody anything everyone everybody everything nobody nothing
"""
_VERBS = """
be am is are was were been being have has had having do does did doing done can could may might must shall should will
would ought let get gets got i'm i've i'd i'll you're you've it's that's there's don't doesn't didn't can't cannot
couldn't won't wouldn't isn't aren't wasn't haven't hasn't please
"""
_PREPOSITIONS = """
about above across after against along among around as at before behind below beneath beside between beyond by down
during except for from in inside into like near of off on onto out outside over past per since through throughout till
to toward towards under until up upon via with within without
"""
_CONJUNCTIONS = "and but or nor so yet if because although though unless while whereas whether than then else"
_ADVERBS = """
again already also always almost alone ever even here there hence how however just more moreover most much never not no
now often once only other others otherwise perhaps quite rather same several some sometimes still such therefore thus
together too very well when whenever where wherever why
"""
_AMOUNTS = "all any both each either enough every few fewer less least many neither none another last next own"

STOP_WORDS = frozenset(
    " ".join((_ARTICLES, _PRONOUNS, _VERBS, _PREPOSITIONS, _CONJUNCTIONS, _ADVERBS, _AMOUNTS)).split()
)
