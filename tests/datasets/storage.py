"""Object storage for tests: moto's server, and one that fails as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from moto.server import ThreadedMotoServer

BUCKET = 'data'
VARIABLES = {
    'AWS_ACCESS_KEY_ID': 'tests',
    'AWS_SECRET_ACCESS_KEY': 'tests',
    'AWS_DEFAULT_REGION': 'us-east-1',
    'AWS_EC2_METADATA_DISABLED': 'true',
}


@contextmanager
def storage() -> Iterator[str]:
    """A server with a bucket of the name :data:`BUCKET`; its address."""
    server = ThreadedMotoServer('127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f'http://{host}:{port}'
    try:
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        server.stop()


def client(address: str):
    """A client of a server."""
    return boto3.client(
        's3', endpoint_url=address, aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1'
    )


def upload(address, folder, prefix=''):
    """Uploads the files of a folder."""
    for path in sorted(folder.rglob('*')):
        if path.is_file():
            key = f'{prefix}{path.relative_to(folder).as_posix()}'
            client(address).put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())


class FailingServer(ThreadingHTTPServer):
    """Answers each request as the next word of its script says; the last one stands for all others.

    The words: ``ok``, a status with a code (``503 SlowDown``), ``cut`` (fewer bytes than said), ``stall``.
    """

    daemon_threads = True

    def __init__(self, content=b'content'):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content = content
        self.script = ['ok']
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f'http://127.0.0.1:{self.server_port}'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        word = server.script[min(server.requests, len(server.script) - 1)]
        server.requests += 1
        if word == 'stall':
            time.sleep(1)
            return
        status, _, code = word.partition(' ')
        if status.isdigit():
            body = f'<Error><Code>{code}</Code><Message>told to say {code}</Message></Error>'.encode()
            self.send_response(int(status))
        else:
            body = server.content
            self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[:3] if word == 'cut' else body)
        self.close_connection = True

    def log_message(self, *args):
        pass
