"""Which of the person's files are read: those that the command names, and no others."""

from __future__ import annotations

import pytest

from finalstop.doctor.sources import FILE_BYTES_MAX, FILES_MAX, read_sources

PACKAGE = '{"scripts": {"start": "node src/server.mjs", "dev": "tsx watch app.ts"}}'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    for name in ("server.js", "src/server.mjs", "app.ts", "app.py", "nginx.conf", ".env"):
        (tmp_path / name).write_text(f"// {name}")
    (tmp_path / "package.json").write_text(PACKAGE)
    return tmp_path


# command, the files it names (package.json apart)
NAMED = [
    ("node server.js", ["server.js"]),
    ("PORT=3000 node src/server.mjs --x", ["src/server.mjs"]),
    ("npm start", ["src/server.mjs"]),
    ("npm run dev", ["app.ts"]),
    ("uvicorn app:app --port 3000", ["app.py"]),
    ("gunicorn 'app:make()'", ["app.py"]),
    ("python -m app", ["app.py"]),
    ("nginx -c nginx.conf", ["nginx.conf"]),
    ("sh -c 'cat .env'", []),
    ("cat .env ../server.js absent.js", []),
    ("node 'unfinished", []),
    ("", []),
]


@pytest.mark.parametrize(("command", "files"), NAMED)
def test_the_command_says_which_files_are_read(command, files, folder):
    assert read_sources(command, folder) == {
        **{name: f"// {name}" for name in files},
        "package.json": PACKAGE,
    }


def test_nothing_outside_the_folder_is_read(folder):
    (folder / "src" / "link.js").symlink_to(folder / "server.js")
    assert read_sources("node link.js ../server.js", folder / "src") == {}


def test_what_is_too_big_or_no_text_is_left_out(folder):
    (folder / "big.js").write_text("x" * (FILE_BYTES_MAX + 1))
    (folder / "bad.js").write_bytes(b"\xff\xfe")
    (folder / "package.json").write_text("[1]")
    assert read_sources("node big.js bad.js", folder) == {}


def test_so_many_files_and_no_more(folder):
    names = [f"f{i}.js" for i in range(FILES_MAX + 2)]
    for name in names:
        (folder / name).write_text("")
    assert list(read_sources(" ".join(names), folder)) == names[:FILES_MAX]
