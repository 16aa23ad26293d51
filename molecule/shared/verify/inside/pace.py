"""Ask at an even pace over connections that are kept, each job at the same time as the others, and count the answers.

pace.py '[{"name": "limits.example.test", "path": "/", "pace": 200, "seconds": 4}, ...]'

name, path   what is asked for
pace         requests a second; at most 1000
seconds      for how long; at most 10
count        instead of pace and seconds: that many requests, as fast as the connections allow; at most 500
source       the address to come from
headers      of each request
certificate  a file with the client's certificate and its key
lanes        connections, 8

Printed for each job: how many got which status, the seconds that each answer of 200 took, which values Retry-After
had, when each request was sent (by one clock for all jobs), and how long it all was.
"""

import collections
import http.client
import json
import socket
import ssl
import sys
import threading
import time


class Lane(http.client.HTTPSConnection):
    """A connection to loopback, whatever the name."""

    def __init__(self, job):
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
        if "certificate" in job:
            trust.load_cert_chain(job["certificate"])
        super().__init__(job["name"], timeout=15, context=trust)
        self.job, self.trust = job, trust

    def connect(self):
        source = (self.job["source"], 0) if "source" in self.job else None
        connection = socket.create_connection(("127.0.0.1", 443), 15, source)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.trust.wrap_socket(connection, server_hostname=self.host)


class Job:
    def __init__(self, job):
        self.job = job
        self.total = min(job["count"], 500) if "count" in job else int(min(job["pace"], 1000) * min(job["seconds"], 10))
        self.lanes = job.get("lanes", 8)
        self.ready = threading.Barrier(self.lanes)
        self.lock = threading.Lock()
        self.next = 0
        self.statuses = collections.Counter()
        self.retry_after = collections.Counter()
        self.took, self.sent_at = [], []
        self.began = self.ended = None

    def turn(self):
        with self.lock:
            self.next += 1
            return self.next - 1

    def lane(self):
        connection = Lane(self.job)
        connection.connect()
        # The handshakes are not part of the time.
        self.ready.wait()
        with self.lock:
            self.began = self.began or time.monotonic()
        while (turn := self.turn()) < self.total:
            if "pace" in self.job:
                time.sleep(max(0.0, self.began + turn / self.job["pace"] - time.monotonic()))
            sent = time.monotonic()
            connection.request("GET", self.job["path"], headers=self.job.get("headers", {}))
            answer = connection.getresponse()
            answer.read()
            with self.lock:
                self.ended = time.monotonic()
                self.statuses[answer.status] += 1
                self.sent_at.append(round(sent, 3))
                if answer.status == 200:
                    self.took.append(round(self.ended - sent, 3))
                for value in answer.msg.get_all("Retry-After", []):
                    self.retry_after[value] += 1
        connection.close()

    def told(self):
        return {
            "sent": self.total,
            "statuses": self.statuses,
            "retry_after": self.retry_after,
            "took": self.took,
            "sent_at": self.sent_at,
            "seconds": self.ended - self.began,
        }


jobs = [Job(job) for job in json.loads(sys.argv[1])]
threads = [threading.Thread(target=job.lane) for job in jobs for _ in range(job.lanes)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([job.told() for job in jobs]))
