"""A package index (PEP 503) on 127.0.0.1 that wants a name and a password, of the wheels in a folder. What it was asked
for goes to its log: the path, and whether the credentials were right.

private_index.py PORT FOLDER CREDENTIALS LOG

CREDENTIALS   file with NAME:PASSWORD
"""

import base64
import http.server
import os
import re
import sys

port, folder, credentials, log = sys.argv[1:]
with open(credentials, encoding="utf-8") as stream:
    ACCEPTED = "Basic " + base64.b64encode(stream.read().strip().encode()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        right = self.headers.get("Authorization") == ACCEPTED
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(f"{'right' if right else 'wrong'} {self.path}\n")
        name = os.path.basename(self.path.rstrip("/"))
        if not right:
            self.answer(401, b"", {"WWW-Authenticate": 'Basic realm="private"'})
        elif self.path.startswith("/files/") and name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as stream:
                self.answer(200, stream.read(), {"Content-Type": "application/octet-stream"})
        else:
            links = [
                f'<a href="/files/{file}">{file}</a>' for file in sorted(os.listdir(folder)) if project(file) == name
            ]
            self.answer(200 if links else 404, "\n".join(links).encode(), {"Content-Type": "text/html"})

    def answer(self, status, body, headers):
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    #: uv asks how large a wheel is before it reads the end of it.
    do_HEAD = do_GET

    def log_message(self, *_arguments):
        pass


def project(file):
    return re.sub(r"[-_.]+", "-", file.partition("-")[0]).lower()


http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
