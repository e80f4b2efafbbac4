"""JavaScript taken apart: strings and comments are no code, and what is not certain is not told."""

from __future__ import annotations

import pytest

from finalstop.doctor.fixes_javascript import code_of, statements

BARE = [
    ("a('}') // }", "a(' ')     "),
    ("/* ; */ b", "        b"),
    ("`${x('`')};`", "`          `"),
    (r"'\'' + c", "'  ' + c"),
    ("`two\nlines`;", "`   \n     `;"),
    ("x = 'never }", "x =         "),
    ("", ""),
]


@pytest.mark.parametrize(("text", "bare"), BARE)
def test_strings_and_comments_are_blanked_and_every_place_stays(text, bare):
    code = code_of(text)
    assert code.bare == bare
    assert len(code.bare) == len(code.text)


STATEMENTS = [
    ("a; b;", ["a;", "b;"]),
    ("const o = { a: 1 };\nf(';');", ["const o = { a: 1 };", "f(';');"]),
    ("try { a; } catch (e) { b; } finally { c; }\nd;", None),
    ("if (x) { a; } else { b; } c;", ["if (x) { a; } else { b; }", "c;"]),
    ("for await (const a of b) { c; }", ["for await (const a of b) { c; }"]),
    ("a; // why\nb", ["a;", "b"]),
    ("f(() => { return 1; });", ["f(() => { return 1; });"]),
    ("x.replace(/'/g, '');", None),
    ("a(; b;", None),
    ("", []),
]


@pytest.mark.parametrize(("text", "parts"), STATEMENTS)
def test_statements_are_told_apart_or_not_at_all(text, parts):
    found = statements(code_of(text))
    if text.startswith("try"):
        parts = ["try { a; } catch (e) { b; } finally { c; }", "d;"]
    assert (None if found is None else [it.text for it in found]) == parts
