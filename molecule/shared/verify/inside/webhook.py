"""A webhook that writes down what it is sent, a line of JSON each: {"path", "body"}.

webhook.py PORT FILE [STATUS]

STATUS  what it answers, 204 without it; nothing is written down for one that is an error
"""

import http.server
import json
import sys

port, file = int(sys.argv[1]), sys.argv[2]
status = int(sys.argv[3]) if len(sys.argv) > 3 else 204


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if status < 400:
            with open(file, "a", encoding="utf-8") as stream:
                stream.write(json.dumps({"path": self.path, "body": json.loads(body)}) + "\n")
        self.send_response(status)
        self.end_headers()

    def log_message(self, *arguments):
        # Its unit's journal is looked through for the path.
        pass


http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
