"""Plain English in sources, templates and docs: phrases and names that a native engineer would not use, and what to use instead.

An exception is listed with its reason. Tests are read like sources.
"""

from __future__ import annotations

import io
import keyword
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PHRASES = {
    r"told|tells?|telling": "report, print, show, log, describe",
    r"says?|said|saying": "report, print, show; or name the rule itself",
    r"mend(?:s|ed|ing)?": "fix",
    r"(?-i:dear)": "expensive",
    r"(?<!there )(?<!There )(?:is|are|was|were) no (?!longer|more|one|such)(?=[a-z])": "is not a, has no",
    r"(?<!leave )(?<!leaves )(?<!left )(?<!let )alone": "only, by itself",
    r"anew": "again",
    r"lacking": "missing",
    r"wish(?:es)?": "requested",
    r"makes? no sense": "is invalid",
    r"stands? (?:in|nowhere|at|there|on|beside)": "is",
    r"with(?:out)? a word": "and the reason is printed; silently",
    r"amid": "during, within",
    r"be it": "whether",
    r"per cent": "percent, %",
    r"at the latest": "no later than",
    r"whoever": "the one who; name the role",
    r"(?:is|are|was|were) (?-i:none)": "is not one; there are none",
    r"in force": "current, in effect",
    r"speaks? of": "mentions",
    r"the very": "the same, exactly",
    r"makes? sense of": "understands, parses",
    r"hereby|herein|thereof|therein|whereof": "plain words",
    r"has its say|had its say": "has run",
    r"wants? to hear": "subscribes, is interested",
    r"nobody could": "cannot be",
    r"nobody knows": "is unknown",
    r"for ever": "forever",
    r"(?:goes|going|went) on(?= (?:after|in|with|when|while|until|as|and|for)\b|[.,;:])": "continues, keeps",
    r"(?:a|an|one|no|every|each|any|this) (?!one)\w+ of (?:ours|yours|theirs)": "one of our …, our",
}
"""Pattern of a whole word or phrase, case ignored, to what to write instead."""

NAMES = {
    "told", "tell", "tells", "telling", "say", "says", "said", "saw", "mend", "mended", "dear", "wish", "wishes", "lacking",
    "whoever", "anew",
}  # fmt: skip
"""Words that no name of ours contains; a name is a noun for data, a verb for work."""

WHOLE_NAMES = {"one", "ones", "each"}
"""Names without a meaning of their own; within a longer name, such as that of a test, these words are fine."""

RIDDLES = re.compile(
    r'(?:^[ \t]*|"+[ \t]*|(?<!#)#[ \t]*)(What|Of|That) [a-z]|"""\s*(Where|Which|Whose) [a-z]', re.MULTILINE
)
"""How a docstring, comment or sentence does not begin: it begins with the thing. A heading may be a question."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("plugins/scout-demo/src/scout_demo/shop/pages.py", "get_one"): "a method of SQLAlchemy's Session",
    ("template/layers/standalone/LICENSE.in", "hereby"): "the text of the MIT License",
    ("tests/test_english.py", "*"): "it has the list",
}
"""File and phrase (``*``: all), to the reason."""

FILES = sorted(
    path
    for path in subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if re.search(r"\.(?:py|md|toml|html|js|css|yml|in)$|^\.ci/(?:run|install)$", path) and (ROOT / path).is_file()
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SPACE = r"(?: |[ \t]*\n[ \t]*(?:#[ \t]*)?)"
"""A space, or the end of a line within a paragraph or a comment."""


def across_lines(pattern: str) -> str:
    """Let each space of a pattern match the end of a line, too, except in assertions that look behind."""
    return "".join(
        part if part.startswith("(?<!") else part.replace(" ", _SPACE) for part in re.split(r"(\(\?<![^)]*\))", pattern)
    )


_PHRASE = re.compile(r"\b(?:" + "|".join(f"(?:{across_lines(phrase)})" for phrase in PHRASES) + r")\b", re.IGNORECASE)


def is_exception(path: str, phrase: str) -> bool:
    return (path, "*") in EXCEPTIONS or (path, phrase.lower()) in EXCEPTIONS


def names_in(source: str) -> list[tuple[int, str]]:
    """Line and name of everything that a Python source names."""
    return [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string)
    ]


def one_line(phrase: str) -> str:
    return re.sub(_SPACE, " ", phrase)


def advice(phrase: str) -> str:
    for pattern, better in PHRASES.items():
        if re.fullmatch(pattern, one_line(phrase), re.IGNORECASE):
            return better
    return next(better for pattern, better in PHRASES.items() if pattern.startswith("(?<!there"))


def findings(path: str) -> list[str]:
    """``file:line: phrase → better``, for everything in a file that is on the lists."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = [
        (text.count("\n", 0, match.start()) + 1, one_line(match.group()), advice(match.group()))
        for match in _PHRASE.finditer(text)
    ]
    found += [
        (text.count("\n", 0, match.start()) + 1, f"{match.group(1) or match.group(2)} …", "begin with the thing")
        for match in RIDDLES.finditer(text)
    ]
    if path.endswith(".py"):
        found += [
            (line, name, "a noun for data, a verb for work")
            for line, name in names_in(text)
            if name.strip("_") in WHOLE_NAMES or any(word.lower() in NAMES for word in _WORD.findall(name))
        ]
    return [
        f"{path}:{line}: {phrase} → {better}"
        for line, phrase, better in sorted(found)
        if not is_exception(path, phrase)
    ]


@pytest.mark.parametrize("path", FILES)
def test_it_is_plain_english(path):
    assert [] == findings(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is told once.", ["told"]),
        ("this is no list", ["is no "]),
        ("there is no such option", []),
        ("it is no longer there", []),
        ("leave it alone, let alone", ["alone"]),
        ("the agent alone", ["alone"]),
        ("it makes no\n    sense", ["makes no\n    sense"]),
        ("# this is\n# no list", ["is\n# no "]),
        ("A thread that hangs for\never", ["for\never"]),
    ],
)
def test_the_phrases_match_what_they_should(text, found):
    assert found == [match.group() for match in _PHRASE.finditer(text)]


def test_an_exception_is_still_needed():
    stale = [
        (path, phrase)
        for path, phrase in EXCEPTIONS
        if phrase != "*" and phrase not in (ROOT / path).read_text(encoding="utf-8").lower()
    ]

    assert [] == stale


if __name__ == "__main__":  # `python tests/test_english.py scout_core/text`: everything that is left there
    import sys

    for path in FILES:
        if any(path.startswith(prefix) for prefix in sys.argv[1:] or [""]):
            for line in findings(path):
                print(line)
