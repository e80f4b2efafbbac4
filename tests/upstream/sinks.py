"""A sink that writes down what it hears and refuses to hear it in the wrong order."""

import asyncio
import re

# contract.py: connected? written? ( responded data* (eof | failed) | refused | failed ), the first
# two once per attempt. One letter each; a beginning of it is in order, too.
ORDER = re.compile(r"(?:cw?)*(?:Rd*[ef]?|r|f)?")


class RecordingSink:
    """`said` is the list of calls; `over` is set at the end. `on_data(sink)` runs inside `data`."""

    def __init__(self, on_data=None):
        self.said = []
        self.letters = ""
        self.head = None
        self.body = b""
        self.chunks = []
        self.end = None
        self.call = None
        self.over = asyncio.Event()
        self.began = asyncio.Event()
        self.on_data = on_data

    def note(self, letter, *what):
        self.letters += letter
        assert ORDER.fullmatch(self.letters), f"out of order: {self.letters}"
        assert self.call is not None, "pushed before call() returned"
        self.said.append(what)

    def connected(self):
        self.note("c", "connected")

    def written(self):
        self.note("w", "written")

    def responded(self, head):
        self.note("R", "responded", head.status)
        self.head = head
        self.began.set()

    def data(self, chunk):
        assert chunk, "an empty chunk says nothing"
        self.note("d", "data", chunk)
        self.chunks.append(chunk)
        self.body += chunk
        if self.on_data is not None:
            self.on_data(self)

    def eof(self):
        self.note("e", "eof")
        self.finish("eof")

    def refused(self, head, body):
        self.note("r", "refused", head.status)
        self.head, self.body = head, body
        self.finish(head.status)

    def failed(self, reason, detail):
        self.note("f", "failed", reason)
        self.detail = detail
        self.finish(reason)

    def finish(self, end):
        self.end = end
        self.over.set()

    async def ended(self, within_s=5):
        async with asyncio.timeout(within_s):
            await self.over.wait()
        return self.end
