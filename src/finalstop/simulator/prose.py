"""What the simulator says: a few short texts of its own, chosen by seed.

Only words live here. It may not know about events, blocks or bytes.
"""

import re
from random import Random
from typing import Final

NOT_A_MODEL: Final = (
    "I am the finalstop simulator, not a model, so I cannot answer that. "
    "Here is what I do know: why the ocean is salty.\n\n"
)
THOUGHTS: Final = (
    "The question asks for the cause, so I should follow the salt from where it starts to where "
    "it stays. Rivers bring dissolved minerals; vents on the sea floor bring more; only water "
    "leaves by evaporation. I should also say why it is not getting saltier all the time."
)
BROKEN_OFF: Final = "Here is how one would begin to answer that question. First of all, one takes"
UNICODE: Final = (
    "Tides: \N{WATER WAVE}\N{WATER WAVE}. A family: \U0001f468\u200d\U0001f469\u200d\U0001f467. "
    "Hebrew: \u05d4\u05d9\u05dd \u05de\u05dc\u05d5\u05d7. Arabic: \u0627\u0644\u0628\u062d\u0631. "
    "Line separator:\u2028paragraph separator:\u2029next line:\x85done. "
    'Combining: e\u0301 a\u030a. Controls: \t tab, \\ backslash, " quote, / slash. '
    "A fake frame:\n\nevent: message_stop\ndata: {}\n\nis only text. \U0010fffd \ufeff end."
)

_OPENINGS: Final = (
    "The ocean is salty because water carries minerals into it and leaves without them.",
    "In short: the sea is where dissolved rock ends up, and only the water can leave again.",
    "Sea water is salty for a simple reason, though it took a very long time to come about.",
)
_SOURCES: Final = (
    (
        "It begins with rain. Rain takes up carbon dioxide from the air and becomes a very weak"
        " acid. As it runs over the land it slowly dissolves rock, and rivers carry the "
        "dissolved ions to the sea: sodium, calcium, magnesium, chloride, sulfate. A river "
        "tastes fresh because it holds so little of them, but it never stops flowing."
    ),
    (
        "The first source is the land. Slightly acidic rain wears down rock and frees its ions,"
        " and every river takes a small load of them to the coast. One river's share is tiny. "
        "All rivers together deliver several billion tonnes of dissolved minerals in a year."
    ),
)
_VENTS: Final = (
    (
        "The second source is the sea floor. Water seeps into hot crust near the mid-ocean "
        "ridges, gives up some minerals there, takes up others, and returns through vents. "
        "Volcanoes add chlorine and sulfur, which is where much of the chloride comes from."
    ),
    (
        "More comes from below. Along the ridges sea water circulates through hot young rock "
        "and comes back changed, and volcanic gases have been adding chlorine since the oceans "
        "formed."
    ),
)
_STAYING: Final = (
    (
        "Then the sun does the rest. Evaporation lifts pure water and leaves the salt behind; "
        "the water falls as rain and makes the trip again. Sodium and chloride react with "
        "little and stay in solution for tens of millions of years, so they make up about 85 "
        "percent of the salt."
    ),
    (
        "What goes in does not easily come out. Water evaporates, salt does not. Calcium is "
        "built into shells and silica into plankton, but sodium and chloride are left over, and"
        " so they are what we taste."
    ),
)
_CLOSINGS: Final = (
    (
        "Today the ocean holds about 35 grams of salt in every kilogram of water. That figure "
        "hardly changes: salt also leaves, in sediments, in spray, and in the thick beds that "
        "dry seas leave behind, about as fast as it arrives."
    ),
    (
        "The result is close to 3.5 percent salt by weight, a little more where it is hot and "
        "dry, a little less near ice and large rivers. Gains and losses are nearly in balance, "
        "so the sea is about as salty now as it was hundreds of millions of years ago."
    ),
)
_ABOUT_THE_SEA: Final = re.compile(r"ocean|\bsea\b|salt", re.IGNORECASE)


def explanation(rng: Random, *, prompt: str = "", words: int | None = None) -> str:
    """A short explanation in five paragraphs; `words` makes it exactly that many words.

    A prompt that does not ask about the sea is told first that no model was asked.
    """
    parts = (_OPENINGS, _SOURCES, _VENTS, _STAYING, _CLOSINGS)
    text = "\n\n".join(rng.choice(variants) for variants in parts)
    if words is not None:
        return _exactly(text, words)
    return text if _ABOUT_THE_SEA.search(prompt) or not prompt else NOT_A_MODEL + text


def word_groups(rng: Random, text: str) -> list[str]:
    """Cut a text into pieces of one to four words; joined they are the text again."""
    units = re.findall(r"\S+\s*|\s+", text)
    groups: list[str] = []
    at = 0
    while at < len(units):
        size = rng.randint(1, 4)
        groups.append("".join(units[at : at + size]))
        at += size
    return groups


def shards(rng: Random, text: str, size_max: int) -> list[str]:
    """Cut a text anywhere, in pieces of 1 to `size_max` characters."""
    cuts: list[str] = []
    at = 0
    while at < len(text):
        size = rng.randint(1, size_max)
        cuts.append(text[at : at + size])
        at += size
    return cuts


def _exactly(text: str, words: int) -> str:
    units = re.findall(r"\S+\s*", text + "\n\n")
    return "".join(units[i % len(units)] for i in range(words)).rstrip()
