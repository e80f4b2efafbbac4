"""The fixes: every diff makes a tested program, and the doctor finds nothing in it any more."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finalstop.doctor.chart import chart_of
from finalstop.doctor.finding import Cure, Level
from finalstop.doctor.findings import KINDS, examine
from finalstop.doctor.fixes import example, fix_for, remedies, unified
from finalstop.doctor.http import make_question
from finalstop.doctor.patient import LIMITS
from finalstop.doctor.stacks import HOPS, Stack, Told
from finalstop.doctor.visit import visit
from tests.doctor.exchanges import URL
from tests.doctor.places import free_port
from tests.doors import ROOT
from tools.node import install, node

EXPRESS = ROOT / "examples" / "express"
BY_HAND = [Stack.EXPRESS, Stack.NODE_HTTP]
ONE_LINE = [Stack.FASTAPI, Stack.STARLETTE, Stack.FLASK, Stack.DJANGO, Stack.AIOHTTP]


def patched(text: str, diff: str, folder: Path, name: str) -> str:
    (folder / name).write_text(text, "utf-8")
    command = ["patch", "-p1", "--no-backup-if-mismatch"]
    subprocess.run(command, cwd=folder, input=diff, text=True, check=True, capture_output=True)
    return (folder / name).read_text("utf-8")


@pytest.mark.parametrize("row", remedies(), ids=lambda row: f"{row[0]} {row[1]}")
def test_every_diff_applies(row, tmp_path):
    name, before, after = remedies()[row]
    diff = unified(before, after, name)
    assert patched(before, diff, tmp_path, name) == after
    assert before != after


def test_an_example_says_that_it_is_one_and_names_no_file_of_theirs():
    fix = fix_for("hangs_on_stall", Cure.HANDLER, (Told(Stack.EXPRESS, "x"),), {"server.js": "x"})
    first, old, new, *_ = fix.diff.splitlines()
    assert first.startswith("An example for express, not your file")
    assert (old.strip(), new.strip()) == ("--- example/before.js", "+++ example/after.js")
    assert "server.js" not in fix.diff
    assert example(Stack.NGINX, "nginx.conf", "a", "b").splitlines()[1:] == [
        *("--- example/before.conf", "+++ example/after.conf", "@@ -1 +1 @@", "-a", "+b"),
    ]


def without_limits(program: str) -> str:
    """The remedy as the example has it: nothing but the limits, from the environment, is more."""
    start = program.index("# Between two events")
    end = program.index("\n)\n", start) + 3
    bare = f"{program[:start]}{program[end:]}".replace(", limits=limits)", ")")
    with_os = "import json\nimport os\n" in bare
    bare = bare.replace("import os\n" if with_os else "import os\n\n", "", 1)
    return bare.replace("from finalstop import Limits\n", "")


@pytest.mark.parametrize("stack", ONE_LINE)
def test_a_remedy_takes_its_limits_from_the_environment_in_which_the_doctor_runs_it(stack):
    _, _, after = remedies()[stack, Cure.HANDLER]
    assert {it for it in LIMITS if f'"{it}"' in after} == {
        "STREAM_IDLE_S",
        "STREAM_FIRST_CONTENT_S",
    }


@pytest.mark.parametrize("stack", ONE_LINE)
def test_the_one_line_remedies_are_the_examples_that_are_tested(stack):
    _, before, after = remedies()[stack, Cure.HANDLER]
    assert without_limits(after) == (ROOT / "examples" / stack / "app.py").read_text("utf-8")
    compile(before, "before", "exec")
    assert "respond(" not in before


CHECKED = [
    # the hop, the program that checks, its arguments, what is around the remedy
    (
        Stack.NGINX,
        "nginx",
        ["-t", "-p", ".", "-e", "error.log", "-c"],
        "pid p; events {} http { upstream app { server 127.0.0.1:9; } access_log off; %s }",
    ),
    (
        Stack.HAPROXY,
        "haproxy",
        ["-c", "-f"],
        (
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n"
            "frontend x\n bind 127.0.0.1:9\n%s"
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stack", "program", "arguments", "around"), CHECKED)
def test_a_proxy_can_read_its_remedies(stack, program, arguments, around, tmp_path):
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    for (of, cure), (_, *texts) in remedies().items():
        if of is not stack:
            continue
        for text in texts:
            file = tmp_path / "whole.conf"
            inside = f"server {{ {text} }}" if text.startswith("location") else text
            file.write_text(around % inside, "utf-8")
            command = [path, *arguments, str(file)]
            ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{cure}: {ran.stderr}"


FIXES = [
    # finding, cure, stacks, sources, for which stack, for their own file
    ("hangs_on_stall", Cure.HANDLER, [Stack.FASTAPI], {}, Stack.FASTAPI, False),
    ("hangs_on_stall", Cure.HANDLER, [Stack.EXPRESS], {"a.js": "other"}, Stack.EXPRESS, False),
    ("hangs_on_stall", Cure.HANDLER, [Stack.NEXT], {}, Stack.EXPRESS, False),
    ("hangs_on_stall", Cure.HANDLER, [Stack.NGINX], {}, "", False),
    ("hangs_on_stall", Cure.HANDLER, [], {}, "", False),
    ("buffered", Cure.BUFFERING, [Stack.EXPRESS, Stack.NGINX], {}, Stack.NGINX, False),
    ("compressed", Cure.COMPRESSION, [Stack.EXPRESS], {}, Stack.EXPRESS, False),
    ("close_delimited", Cure.FRAMING, [Stack.NGINX], {}, Stack.NGINX, False),
    ("cut_by_idle_limit", Cure.IDLE_LIMIT, [Stack.HAPROXY], {}, Stack.HAPROXY, False),
    ("wrong_content_type", Cure.CONTENT_TYPE, [Stack.EXPRESS], {}, "", False),
]


@pytest.mark.parametrize(("name", "cure", "stacks", "sources", "stack", "yours"), FIXES)
def test_a_fix_is_for_the_stack_that_can_apply_it(name, cure, stacks, sources, stack, yours):
    fix = fix_for(name, cure, tuple(Told(it, "x") for it in stacks), sources)
    assert (fix.stack, fix.yours, bool(fix.diff)) == (stack, yours, bool(stack))
    assert fix.words


def test_their_own_file_is_patched_if_it_has_the_known_shape(tmp_path):
    _, before, _ = remedies()[Stack.EXPRESS, Cure.HANDLER]
    fix = fix_for(
        "open_after_terminal", Cure.HANDLER, (Told(Stack.EXPRESS, "x"),), {"mine.js": before}
    )
    assert fix.yours
    assert "relay(res" in patched(before, fix.diff, tmp_path, "mine.js")


def test_every_kind_has_a_fix_on_every_stack():
    for kind in KINDS:
        for stack in Stack:
            assert fix_for(kind.name, kind.cure, (Told(stack, "x"),), {}).words
    assert {stack for stack, _ in remedies()} >= {*BY_HAND, *ONE_LINE, *(HOPS - {Stack.CLOUDFLARE})}


# --- with the doctor ---------------------------------------------------------------------------


async def visited(folder: Path, file: str):
    """What the doctor sees of a program of the Express example's folder."""
    port = free_port()
    url = URL.replace("3000", str(port))
    run = f"PORT={port} {node()} {file}"
    return await visit(
        make_question(url, data=b'{"prompt":"hi"}'), run=run, folder=folder, sigterm_s=8
    )


@pytest.fixture
def shop(tmp_path):
    """A folder in which programs find the Express example's packages."""
    install(EXPRESS)
    (tmp_path / "node_modules").symlink_to(EXPRESS / "node_modules")
    shutil.copy(EXPRESS / "package.json", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_what_everyone_writes_is_sick_and_with_the_printed_diff_it_is_not(shop):
    """The asker's program: the diff of the report, applied with `patch`, cures every fault."""
    _, before, _ = remedies()[Stack.EXPRESS, Cure.HANDLER]
    (shop / "asked.js").write_text(before, "utf-8")
    found = examine(await visited(shop, "asked.js"))
    assert found[0].name == "open_after_terminal"
    assert {it.name for it in found if it.level is Level.PROBLEM} >= {
        *("hangs_on_stall", "hangs_without_head", "truncation_looks_complete", "error_hidden"),
        *("empty_deltas", "status_flattened", "upstream_not_cancelled", "sigterm_cuts"),
    }
    assert found[0].fix.yours
    patched(before, found[0].fix.diff, shop, "asked.js")
    left = examine(await visited(shop, "asked.js"))
    assert [it for it in left if it.level is not Level.NOTE] == []


ENDINGS = [
    # what ends a healthy answer in their program
    ("", '{"event":"end"}'),
    ("    res.write('data: [DONE]\\n\\n');\n", "[DONE]"),
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("ending", "terminal"), ENDINGS)
async def test_without_an_end_frame_or_with_a_bare_one_the_printed_diff_cures_too(
    ending, terminal, shop
):
    _, before, _ = remedies()[Stack.EXPRESS, Cure.HANDLER]
    end = "    res.write(`data: ${JSON.stringify({ event: 'end' })}\\n\\n`);\n"
    theirs = before.replace(end, ending)
    assert theirs != before
    fix = fix_for("no_terminal", Cure.HANDLER, (Told(Stack.EXPRESS, "x"),), {"a.js": theirs})
    assert fix.yours
    patched(theirs, fix.diff, shop, "a.js")
    seen = await visited(shop, "a.js")
    assert [it for it in examine(seen) if it.level is not Level.NOTE] == []
    assert terminal in chart_of(seen).terminal


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_python_remedy_passes_every_fault(tmp_path):
    _, _, after = remedies()[Stack.FASTAPI, Cure.HANDLER]
    (tmp_path / "app.py").write_text(after, "utf-8")
    port = free_port()
    run = f"{sys.executable} -m uvicorn app:app --port {port}"
    question = make_question(URL.replace("3000", str(port)), data=b'{"prompt":"hi"}')
    seen = await visit(question, run=run, folder=tmp_path, sigterm_s=30)
    assert [it for it in examine(seen) if it.level is not Level.NOTE] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_remedies_by_hand_pass_every_fault(shop):
    for stack in BY_HAND:
        (shop / f"{stack}.js").write_text(remedies()[stack, Cure.HANDLER][2], "utf-8")
    async with asyncio.TaskGroup() as group:
        visits = [group.create_task(visited(shop, f"{stack}.js")) for stack in BY_HAND]
    bad = [it for task in visits for it in examine(task.result()) if it.level is not Level.NOTE]
    assert bad == []
