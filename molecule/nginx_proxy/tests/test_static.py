"""Files that nginx sends itself: what is in the folder, all of it, and nothing beside it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from machine import Answer, Machine
from origin import mark, on_each, seen

NAME = "static.example.test"
SITE = f"https://{NAME}"
SCRIPT = "console.log('static');\n" * 200
SECRET = "outside the folder"

FILES = {
    "/srv/files/secret": SECRET,
    "/srv/files/static-other/secret": SECRET,
    "/srv/files/static/app.js": SCRIPT,
    "/srv/files/static/plain.js": SCRIPT,
    "/srv/files/static/style.css": "body {}\n" * 200,
    "/srv/files/static/page.html": "<p>page</p>\n",
    "/srv/files/static/data.json": "{}\n",
    "/srv/files/static/picture.svg": "<svg/>\n",
    "/srv/files/static/module.mjs": "export {};\n",
    "/srv/files/static/app.webmanifest": "{}\n",
    "/srv/files/static/program.wasm": "\\0asm",
    "/srv/files/static/unknown": "?",
    "/srv/files/static/numbers": "0123456789",
    "/srv/files/static/with space.txt": "space\n",
    "/srv/files/static/grün.txt": "grün\n",
    "/srv/files/static/.env": SECRET,
    "/srv/files/static/.git/HEAD": SECRET,
    "/srv/files/static/sub/file.txt": "below\n",
    "/srv/files/assets/app.3f2a91.js": SCRIPT,
    "/srv/files/bare/file": "bare\n",
    "/srv/files/app/index.html": "<p>the app</p>\n",
    "/srv/files/app/main.js": SCRIPT,
}


@pytest.fixture(scope="module", autouse=True)
def _files(machines: list[Machine]) -> None:
    for machine in machines:
        machine.run("rm -rf /srv/files && mkdir -p /srv/files")
        script = "import json, os, sys\nfor path, text in json.loads(sys.argv[1]).items():\n"
        script += "    os.makedirs(os.path.dirname(path), exist_ok=True)\n    open(path, 'w').write(text)\n"
        machine.run("/usr/bin/python3 -c %s %s", script, json.dumps(FILES))
        machine.run("cd /srv/files/static && gzip --keep app.js && brotli --keep app.js && gzip --keep style.css")
        machine.run("ln -s /srv/files/static/sub /srv/files/static/link")


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("plain.js", "application/javascript"),
            ("style.css", "text/css"),
            ("page.html", "text/html"),
            ("data.json", "application/json"),
            ("picture.svg", "image/svg+xml"),
            ("program.wasm", "application/wasm"),
            ("module.mjs", "application/javascript"),
            ("app.webmanifest", "application/manifest+json"),
            ("sub/file.txt", "text/plain"),
            ("unknown", "application/octet-stream"),
        ],
    )
    def test_each_kind_has_its_type(self, machine: Machine, name: str, kind: str) -> None:
        answer = machine.ask(f"{SITE}/static/{name}")
        assert answer.status == 200
        # Browsers run no script of another type, as X-Content-Type-Options is nosniff.
        assert answer.header("content-type").split(";")[0] == kind

    @pytest.mark.parametrize("encoded", ["with%20space.txt", "gr%C3%BCn.txt"])
    def test_encoded_names(self, machine: Machine, encoded: str) -> None:
        assert machine.ask(f"{SITE}/static/{encoded}").status == 200

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/static/plain.js", ["public, max-age=3600"]),
            ("/assets/app.3f2a91.js", ["public, max-age=31536000, immutable"]),
            ("/bare/file", None),
        ],
    )
    def test_how_long_a_browser_may_keep_it(self, machine: Machine, path: str, said: list[str] | None) -> None:
        assert machine.ask(SITE + path).headers.get("cache-control") == said

    @pytest.mark.parametrize("path", ["/static/absent", "/assets/absent", "/bare/absent"])
    def test_what_is_not_there_is_not_kept_either(self, machine: Machine, path: str) -> None:
        marked = mark()
        answer = machine.ask(f"{SITE}{path}{marked}")
        assert answer.status == 404
        assert "cache-control" not in answer.headers
        assert not seen(machine, marked), "the application was asked"

    @pytest.mark.parametrize("condition", ["etag", "last-modified"])
    def test_an_unchanged_file_is_not_sent_again(self, machine: Machine, condition: str) -> None:
        first = machine.ask(f"{SITE}/static/plain.js")
        name = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}[condition]
        again = machine.ask(f"{SITE}/static/plain.js", "--header", f"{name}: {first.header(condition)}")
        assert (again.status, again.body) == (304, "")
        assert again.header("x-place") == "site"

    def test_a_part_of_a_file(self, machine: Machine) -> None:
        part = machine.ask(f"{SITE}/static/numbers", "--header", "Range: bytes=2-4")
        assert (part.status, part.body, part.header("content-range")) == (206, "234", "bytes 2-4/10")
        # As it is: Debian 12's curl shows the header of this answer in a way that is no JSON.
        text = f"GET /static/numbers HTTP/1.1\r\nHost: {NAME}\r\nRange: bytes=20-\r\nConnection: close\r\n\r\n"
        (beyond,) = machine.python("exchange.py", json.dumps([{"name": NAME, "parts": [[0, text]]}]))
        assert beyond["answer"].startswith("HTTP/1.1 416 ")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    @pytest.mark.parametrize("path", ["/static/plain.js", "/app/", "/app/somewhere"])
    def test_files_are_only_read(self, machine: Machine, method: str, path: str) -> None:
        answer = machine.ask(SITE + path, "--request", method, "--data", "x")
        assert answer.status == 405
        assert answer.header("allow") == "GET, HEAD"

    def test_a_folder_is_not_listed(self, machine: Machine) -> None:
        for path in ("/static/", "/static/sub/"):
            answer = machine.ask(SITE + path)
            assert answer.status in (403, 404)
            assert "file.txt" not in answer.body

    def test_a_changed_file_is_seen(self, machine: Machine) -> None:
        # nginx keeps files open for a second or so.
        machine.run("echo one >/srv/files/bare/changing")
        assert machine.ask(f"{SITE}/bare/changing").body == "one\n"
        machine.run("echo another >/srv/files/bare/new && mv /srv/files/bare/new /srv/files/bare/changing; sleep 2.1")
        assert machine.ask(f"{SITE}/bare/changing").body == "another\n"


class TestEncodings:
    def ask(self, machine: Machine, path: str, accepts: str) -> tuple[Answer, str]:
        """The answer, and the digest of the bytes that came."""
        answer = machine.ask(SITE + path, "--header", f"Accept-Encoding: {accepts}", "--output", "/tmp/encoded")
        return answer, machine.run("sha256sum </tmp/encoded").split()[0]

    @pytest.mark.parametrize(("accepts", "ending"), [("gzip", ".gz"), ("br", ".br"), ("gzip, br", ".br")])
    def test_the_file_beside_it_is_sent(self, machine: Machine, accepts: str, ending: str) -> None:
        answer, digest = self.ask(machine, "/static/app.js", accepts)
        assert answer.header("content-encoding") == {".gz": "gzip", ".br": "br"}[ending]
        assert digest == machine.run("sha256sum </srv/files/static/app.js%s", ending).split()[0]
        assert answer.header("content-type").endswith("/javascript")
        assert answer.header("cache-control") == "public, max-age=3600"

    @pytest.mark.parametrize("accepts", ["identity", "deflate", "gzip;q=0, identity"])
    def test_who_cannot_read_it_gets_the_file(self, machine: Machine, accepts: str) -> None:
        answer, digest = self.ask(machine, "/static/app.js", accepts)
        assert "content-encoding" not in answer.headers
        assert digest == hashlib.sha256(SCRIPT.encode()).hexdigest()

    @pytest.mark.parametrize(("accepts", "encoding"), [("gzip", "gzip"), ("br", "br")])
    @pytest.mark.parametrize("path", ["/static/plain.js", "/app/main.js"])
    def test_others_are_compressed_on_the_way(self, machine: Machine, path: str, accepts: str, encoding: str) -> None:
        answer, _ = self.ask(machine, path, accepts)
        assert answer.header("content-encoding") == encoding
        size = int(machine.run("wc --bytes </tmp/encoded"))
        assert size < len(SCRIPT) / 4

    @pytest.mark.parametrize("accepts", ["gzip", "identity"])
    @pytest.mark.parametrize("path", ["/static/app.js", "/static/plain.js"])
    def test_caches_are_told_that_it_differs(self, machine: Machine, path: str, accepts: str) -> None:
        answer, _ = self.ask(machine, path, accepts)
        assert [value.lower() for value in answer.headers.get("vary", [])] == ["accept-encoding"]


@pytest.mark.parametrize("site", [SITE + "/app", "https://page.example.test"], ids=["folder", "site"])
class TestFallback:
    """A single-page application."""

    @pytest.mark.parametrize("path", ["/", "/settings", "/users/7/edit", "/users/7.5", "/?tab=1"])
    def test_every_path_is_the_applications_own(self, machine: Machine, site: str, path: str) -> None:
        answer = machine.ask(site + path)
        assert (answer.status, answer.body) == (200, "<p>the app</p>\n")
        assert answer.header("content-type").startswith("text/html")
        assert answer.header("cache-control") == "no-cache"
        assert answer.header("x-content-type-options") == "nosniff"

    @pytest.mark.parametrize("path", ["/absent.js", "/deep/absent.css", "/absent.png"])
    def test_an_asset_that_is_not_there_is_no_page(self, machine: Machine, site: str, path: str) -> None:
        answer = machine.ask(site + path)
        assert answer.status == 404
        assert "the app" not in answer.body

    def test_a_file_is_a_file(self, machine: Machine, site: str) -> None:
        assert machine.ask(site + "/main.js").body == SCRIPT

    def test_hidden_files_are_no_pages(self, machine: Machine, site: str) -> None:
        assert machine.ask(site + "/.env").status == 404


class TestHeaders:
    @pytest.mark.parametrize("path", ["/static/plain.js", "/static/absent", "/app/", "/bare/file"])
    def test_the_sites_are_there(self, machine: Machine, path: str) -> None:
        answer = machine.ask(SITE + path)
        assert answer.header("x-place") == "site"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("strict-transport-security") == "max-age=63072000"
        assert "default-src 'self'" in answer.header("content-security-policy")

    def test_a_folder_can_have_its_own(self, machine: Machine) -> None:
        answer = machine.ask(SITE + "/assets/app.3f2a91.js")
        assert answer.header("x-place") == "assets"
        assert answer.header("x-content-type-options") == "nosniff"


OUTSIDE = [
    "/static/../secret",
    "/static../secret",
    "/static../static-other/secret",
    "/static/..%2fsecret",
    "/static/%2e%2e/secret",
    "/static/%2e%2e%2fsecret",
    "/static/%252e%252e%252fsecret",
    "/static/..%c0%afsecret",
    "/static/..\\secret",
    "/static/..%5csecret",
    "/static/....//secret",
    "/static/..;/secret",
    "/static%2f..%2fsecret",
    "/static%2f%2e%2e/secret",
    "/static//../secret",
    "/static/sub/../../secret",
    "/static/./../secret",
    "/app/../../../../etc/passwd",
    "/app/..%2f..%2f..%2fetc/passwd",
    "/app//etc/passwd",
    "/../../../etc/passwd",
    "/static-other/secret",
    "https://page.example.test/..%2f..%2fetc/passwd",
    "https://page.example.test//etc/passwd",
    "https://page.example.test/../secret",
    "https://page.example.test/%2e%2e/secret",
]
NUL = ["/static/plain.js%00.txt", "/static/%00", "/app/%00"]
HIDDEN = ["/static/.env", "/static/.git/HEAD", "/static/%2egit/HEAD", "/static//.git/HEAD", "/static/sub/../.env"]


class TestTraversal:
    @pytest.fixture(scope="class")
    @classmethod
    def answers(cls, machines: list[Machine]) -> dict[str, dict[str, str]]:
        """By host and target, sent as it is."""
        targets = OUTSIDE + NUL + HIDDEN
        plan = []
        for target in targets:
            name = "page.example.test" if target.startswith("https://") else NAME
            sent = target.removeprefix("https://page.example.test")
            text = f"GET {sent} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
            plan.append({"name": name, "parts": [[0, text]]})

        def send(machine: Machine) -> dict[str, str]:
            found = machine.python("exchange.py", json.dumps(plan))
            return {target: one["answer"] for target, one in zip(targets, found, strict=True)}

        return on_each(machines, send)

    @pytest.mark.parametrize("target", OUTSIDE)
    def test_nothing_outside_the_folder(self, machine: Machine, answers: dict[str, Any], target: str) -> None:
        answer = answers[machine.name][target]
        assert answer.startswith("HTTP/1.1 ")
        assert SECRET not in answer
        assert "root:x:" not in answer

    @pytest.mark.parametrize("target", NUL)
    def test_nul_is_refused(self, machine: Machine, answers: dict[str, Any], target: str) -> None:
        assert answers[machine.name][target].startswith("HTTP/1.1 400 ")

    @pytest.mark.parametrize("target", HIDDEN)
    def test_hidden_files_are_not_there(self, machine: Machine, answers: dict[str, Any], target: str) -> None:
        answer = answers[machine.name][target]
        assert answer.startswith("HTTP/1.1 404 ")
        assert SECRET not in answer

    def test_links_inside_the_folder_are_followed(self, machine: Machine) -> None:
        # A release's folder is reached by one.
        assert machine.ask(f"{SITE}/static/link/file.txt").body == "below\n"
