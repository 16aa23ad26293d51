"""The files of a folder over HTTP on 127.0.0.1, for those who have the token in the query of the URL. What it was asked
for goes to its log: the path, and whether the token was right.

token_files.py PORT FOLDER TOKEN LOG

TOKEN   file with the token
"""

import http.server
import os
import sys
from urllib.parse import parse_qs, urlsplit

port, folder, token, log = sys.argv[1:]
with open(token, encoding="utf-8") as stream:
    TOKEN = stream.read().strip()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urlsplit(self.path)
        right = parse_qs(asked.query).get("token") == [TOKEN]
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(f"{'right' if right else 'wrong'} {asked.path}\n")
        name = os.path.basename(asked.path)
        if not right:
            self.answer(403, b"")
        elif name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as stream:
                self.answer(200, stream.read())
        else:
            self.answer(404, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
