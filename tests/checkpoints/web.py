"""A web server of the tests' own, which does what servers of files do, also at their worst."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass
class Web:
    """What a server has and how it behaves; it may be changed between requests.

    Attributes:
        files: A dict: path -> content.
        validators: The headers by which a file is told from an earlier one.
        cuts: After how many bytes of the body each of the next connections breaks off; None for never.
        has_ranges: Whether parts of files can be had.
        is_brief: Whether answers with a part leave the validators out.
        has_lengths: Whether answers say how long they are.
        statuses: What to answer instead of a file: path -> status.
        status: That of answers with all of a file.
        moved: A dict: path -> where to instead.
        content_type: That of all files.
        headers: More headers of all files.
        surplus: What follows the rest of a file.
        hold: Set when answers may go beyond the first byte of their body.
        asked: The path and the ``Range`` of every request.
        address: Where the server is.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    validators: dict[str, str] = field(default_factory=lambda: {'ETag': '"1"'})
    cuts: list[int | None] = field(default_factory=list)
    has_ranges: bool = True
    is_brief: bool = False
    has_lengths: bool = True
    statuses: dict[str, int] = field(default_factory=dict)
    status: int = 200
    moved: dict[str, str] = field(default_factory=dict)
    content_type: str = 'application/octet-stream'
    headers: dict[str, str] = field(default_factory=dict)
    surplus: bytes = b''
    hold: Event = field(default_factory=Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ''


@contextmanager
def serving() -> Iterator[Web]:
    """Runs a server in a thread during the block."""
    web = Web()
    web.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            wanted = self.headers['Range']
            web.asked.append((self.path, wanted))
            if self.path in web.moved:
                self.send_response(302)
                self.send_header('Location', web.moved[self.path])
                self.end_headers()
                return
            content = web.files.get(self.path)
            if content is None or self.path in web.statuses:
                self.send_error(web.statuses.get(self.path, 404))
                return
            is_same = self.headers['If-Range'] in (None, *web.validators.values())
            start = (
                int(re.fullmatch(r'bytes=(\d+)-', wanted)[1]) if wanted and web.has_ranges and is_same else 0
            )
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else web.status)
            for name, value in web.validators.items() if not (start and web.is_brief) else ():
                self.send_header(name, value)
            if start:
                self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
            self.send_header('Content-Type', web.content_type)
            for name, value in web.headers.items():
                self.send_header(name, value)
            body = content[start:] + (web.surplus if start else b'')
            if web.has_lengths:
                self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            cut = web.cuts.pop(0) if web.cuts else None
            self.wfile.write(body[:1][:cut])
            web.hold.wait(20)
            self.wfile.write(body[1:cut])

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    web.address = f'http://127.0.0.1:{server.server_port}'
    thread = Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield web
    finally:
        web.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
