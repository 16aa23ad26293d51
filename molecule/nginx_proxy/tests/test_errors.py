"""Answers that are no success: their headers, their pages, and the page for the time that a site is away."""

from __future__ import annotations

from typing import Any

import pytest
from machine import Answer, Machine, wait_for
from origin import mark, on_each, seen

SITE = "https://errors.example.test"
PAGES = "https://pages.example.test"
INTERCEPTED = "https://intercepted.example.test"
AWAY = "https://away.example.test"
BODY = ["--data", "x" * 2000]

POLICY = "default-src 'self'; script-src 'self' 'nonce-abc'"
SECURITY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "strict-origin-when-cross-origin",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "x-quoted": 'say "so"',
}

#: How to come by each answer of nginx's own.
FAILURES: dict[str, tuple[int, str, list[str]]] = {
    "hidden": (404, "/.git/HEAD", []),
    "no file": (404, "/static/absent", []),
    "method": (405, "/reading/", ["--request", "DELETE"]),
    "method on a file": (405, "/static/file", ["--request", "POST"]),
    "too large": (413, "/small/", BODY),
    "too many": (429, "/limited/", []),
    "nobody there": (502, "/gone/", []),
    "no answer": (502, "/?close=before", []),
    "too late": (504, "/late/?delay=2500", []),
}


def code(status: str, *more: str) -> str:
    """A path for which the application answers with the status."""
    return f"/{mark()}?{'&'.join([f'status={status}', *more])}"


@pytest.fixture(scope="module", autouse=True)
def _files(machines: list[Machine]) -> None:
    for machine in machines:
        machine.run("mkdir -p /srv/errors && echo file >/srv/errors/file")


@pytest.fixture(scope="module")
def failures(machines: list[Machine]) -> dict[str, dict[tuple[str, str], Answer]]:
    """Each failure of each site, by host."""

    def ask(machine: Machine) -> dict[tuple[str, str], Answer]:
        found = {}
        for site in (SITE, PAGES):
            # The one request that passes.
            assert machine.ask(site + "/limited/").status == 200
            found.update({(site, key): machine.ask(site + path, *more) for key, (_, path, more) in FAILURES.items()})
        return found

    return on_each(machines, ask)


class TestHeaders:
    def check(self, answer: Answer, **other: str | None) -> None:
        expected: dict[str, str | None] = {**SECURITY, **{key.replace("_", "-"): value for key, value in other.items()}}
        for name, value in expected.items():
            # Never twice, and where it is not wanted not at all.
            assert answer.headers.get(name) == (None if value is None else [value]), name

    @pytest.mark.parametrize("failure", FAILURES)
    def test_they_are_on_nginxs_own_errors(self, machine: Machine, failures: dict[str, Any], failure: str) -> None:
        answer = failures[machine.name][SITE, failure]
        assert answer.status == FAILURES[failure][0]
        self.check(answer, **({"x_place": "static"} if FAILURES[failure][1].startswith("/static/") else {}))

    @pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 307, 400, 401, 404, 422, 500, 503])
    def test_they_are_on_what_the_application_answers(self, machine: Machine, status: int) -> None:
        answer = machine.ask(SITE + code(str(status), "body="))
        assert answer.status == status
        self.check(answer)

    @pytest.mark.parametrize("url", [SITE + "/moved", "https://www-errors.example.test/"])
    def test_they_are_on_redirects(self, machine: Machine, url: str) -> None:
        answer = machine.ask(url)
        assert answer.status == 308
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("strict-transport-security") == "max-age=63072000"

    @pytest.mark.parametrize("status", ["200", "404", "500"])
    def test_the_applications_own_win(self, machine: Machine, status: str) -> None:
        own = {
            "content-security-policy": "default-src 'none'",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "permissions-policy": "fullscreen=()",
        }
        lines = [f"header={name}:{value.replace(' ', '%20')}" for name, value in own.items()]
        answer = machine.ask(SITE + code(status, *lines))
        self.check(answer, **{name.replace("-", "_"): value for name, value in own.items()})

    def test_a_location_has_its_own(self, machine: Machine) -> None:
        for path in (f"/place/{mark()}", "/place/?status=404"):
            self.check(machine.ask(SITE + path), x_frame_options="DENY", x_place="place", permissions_policy=None)

    def test_a_folder_has_its_own(self, machine: Machine) -> None:
        self.check(machine.ask(SITE + "/static/file"), x_place="static")

    @pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
    def test_the_documentation_may_load_its_scripts(self, machine: Machine, path: str) -> None:
        answer = machine.ask(SITE + path)
        policy = answer.header("content-security-policy")
        assert "https://cdn.jsdelivr.net" in policy
        assert "frame-ancestors 'self'" in policy
        self.check(answer, content_security_policy=policy)

    @pytest.mark.parametrize(
        "path",
        ["/docsify", "/documents", "/api/docs", "/", "/?/docs", "/redocs", "/docs/..%2fapp/", "/docs/%2e%2e/app/"],
    )
    def test_other_paths_may_not(self, machine: Machine, path: str) -> None:
        self.check(machine.ask(SITE + path, "--path-as-is"))

    def test_an_error_has_an_id(self, machine: Machine, failures: dict[str, Any]) -> None:
        assert len(failures[machine.name][SITE, "nobody there"].header("x-request-id")) == 32


class TestMethods:
    def test_a_405_says_which_would_do(self, machine: Machine, failures: dict[str, Any]) -> None:
        assert failures[machine.name][SITE, "method"].header("allow") == "GET, HEAD"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_those_pass(self, machine: Machine, method: str) -> None:
        option = ["--head"] if method == "HEAD" else []
        answer = machine.ask(SITE + "/reading/", *option)
        assert answer.status == 200
        assert "allow" not in answer.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "GETX", "PROPFIND"])
    def test_others_do_not_reach_the_application(self, machine: Machine, method: str) -> None:
        marked = mark()
        assert machine.ask(f"{SITE}/reading/{marked}", "--request", method).status == 405
        assert seen(machine, marked) == []

    def test_a_method_in_small_letters_is_none(self, machine: Machine) -> None:
        marked = mark()
        assert machine.ask(f"{SITE}/reading/{marked}", "--http1.1", "--request", "get").status in (400, 405)
        assert seen(machine, marked) == []

    def test_the_applications_own_allow_passes(self, machine: Machine) -> None:
        assert machine.ask(SITE + code("405", "header=Allow:PUT")).header("allow") == "PUT"


AWAY_PAGE = ('<h1>"Away" for $5</h1>\n', "text/html")
JSON_PAGE = ('{"detail": "no"}\n', "application/json")
TEXT_PAGE = ("plain\n", "text/plain")


class TestPages:
    @pytest.mark.parametrize(
        ("failure", "page"),
        [
            ("hidden", JSON_PAGE),
            ("no file", JSON_PAGE),
            ("method", TEXT_PAGE),
            ("too large", JSON_PAGE),
            ("too many", JSON_PAGE),
            ("nobody there", AWAY_PAGE),
            ("no answer", AWAY_PAGE),
            ("too late", AWAY_PAGE),
        ],
    )
    def test_nginxs_own_errors_have_them(
        self, machine: Machine, failures: dict[str, Any], failure: str, page: tuple[str, str]
    ) -> None:
        answer = failures[machine.name][PAGES, failure]
        assert (answer.status, answer.body) == (FAILURES[failure][0], page[0])
        assert answer.header("content-type").split(";")[0] == page[1]
        # Or a proxy in between would go on showing it.
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"

    def test_what_belongs_to_a_status_stays(self, machine: Machine, failures: dict[str, Any]) -> None:
        assert failures[machine.name][PAGES, "too many"].header("retry-after") == "60"
        assert failures[machine.name][PAGES, "method"].header("allow") == "GET, HEAD"

    def test_a_failed_post_gets_its_page_too(self, machine: Machine) -> None:
        answer = machine.ask(PAGES + "/gone/", "--json", "{}")
        assert (answer.status, answer.body) == (502, AWAY_PAGE[0])

    @pytest.mark.parametrize("status", ["404", "500", "502"])
    def test_the_applications_own_pages_pass(self, machine: Machine, status: str) -> None:
        answer = machine.ask(PAGES + code(status, "body=own"))
        assert (answer.status, answer.body) == (int(status), "own")

    @pytest.mark.parametrize(("status", "page"), [("404", JSON_PAGE), ("500", TEXT_PAGE), ("502", AWAY_PAGE)])
    def test_unless_they_are_to_be_replaced(self, machine: Machine, status: str, page: tuple[str, str]) -> None:
        answer = machine.ask(INTERCEPTED + code(status, "body=own"))
        assert (answer.status, answer.body) == (int(status), page[0])
        assert answer.header("content-type").split(";")[0] == page[1]

    @pytest.mark.parametrize("status", ["404", "500", "502"])
    def test_they_have_the_sites_headers(self, machine: Machine, status: str) -> None:
        # Those of the answer that is replaced are gone with it.
        own = ["header=X-Frame-Options:DENY", "header=Content-Security-Policy:sandbox", "header=X-Own:own"]
        answer = machine.ask(INTERCEPTED + code(status, "body=own", *own))
        assert answer.header("x-frame-options") == "SAMEORIGIN"
        assert answer.header("content-security-policy").startswith("default-src 'self'; ")
        assert "x-own" not in answer.headers
        passed = machine.ask(INTERCEPTED + code("422", *own))
        assert (passed.header("x-frame-options"), passed.header("content-security-policy")) == ("DENY", "sandbox")

    def test_a_path_with_dots_gets_its_page_too(self, machine: Machine) -> None:
        answer = machine.ask(PAGES + "/x/../y", "--path-as-is")
        assert (answer.status, answer.body) == (400, JSON_PAGE[0])

    @pytest.mark.parametrize("status", ["200", "409", "422"])
    def test_a_status_without_a_page_is_the_applications(self, machine: Machine, status: str) -> None:
        assert machine.ask(INTERCEPTED + code(status, "body=own")).body == "own"

    @pytest.mark.parametrize("path", ["/_error_pages/", "/_error_pages/404.json", "/_error_pages/../site.conf"])
    def test_they_are_no_files_of_the_site(self, machine: Machine, path: str) -> None:
        answer = machine.ask(PAGES + path, "--path-as-is")
        assert "server_name" not in answer.body
        if path.startswith("/_error_pages/") and ".." not in path:
            assert answer.status == 404


class TestMaintenance:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *((method, "/") for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")),
            *(("GET", path) for path in ("/anything?x=1", "/static/file", "/static/absent")),
            ("POST", "/static/file"),
        ],
    )
    def test_everything_gets_the_page(self, machine: Machine, method: str, path: str) -> None:
        options = ["--head"] if method == "HEAD" else ["--request", method]
        answer = machine.ask(AWAY + path, *options)
        assert answer.status == 503
        # Of HEAD curl prints the header in its place.
        assert answer.body == '<h1>Back "soon" for $5</h1>\n' or (method == "HEAD" and "<h1>" not in answer.body)
        assert answer.header("content-type").split(";")[0] == "text/html"
        assert answer.header("retry-after") == "600"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("strict-transport-security") == "max-age=63072000"

    def test_a_large_body_gets_it_too(self, machine: Machine) -> None:
        machine.run("head -c 3000000 /dev/zero >/tmp/body")
        assert machine.ask(AWAY + "/", "--data-binary", "@/tmp/body").status == 503

    def test_the_application_is_left_alone(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{AWAY}/{marked}")
        assert seen(machine, marked) == []

    def test_who_is_let_in_sees_the_site(self, machine: Machine) -> None:
        assert machine.ask(AWAY + "/", "--interface", "127.0.0.9").json()["method"] == "GET"
        assert machine.ask(AWAY + "/static/file", "--interface", "127.0.0.9").body == "file\n"
        assert machine.ask(AWAY + "/", "--interface", "127.0.0.10").status == 503

    def test_a_challenge_is_answered(self, machine: Machine) -> None:
        folder = "/var/www/acme/.well-known/acme-challenge"
        machine.run(f"mkdir -p {folder} && printf proof >{folder}/away")
        try:
            answer = machine.ask("http://away.example.test/.well-known/acme-challenge/away")
            assert (answer.status, answer.body) == (200, "proof")
        finally:
            machine.run(f"rm {folder}/away")

    def test_a_file_switches_it_on_and_off(self, machine: Machine) -> None:
        switch = "/etc/nginx/maintenance/pages"
        assert machine.ask(PAGES + "/").status == 200
        machine.run(f"touch {switch}")
        try:
            # nginx looks for the file once a second.
            wait_for("the page", lambda: machine.ask(PAGES + "/").status == 503, seconds=2)
            answers = [machine.ask(PAGES + "/"), machine.ask(PAGES + "/", "--json", "{}")]
            other = machine.ask(SITE + "/")
        finally:
            machine.run(f"rm {switch}")
        for answer in answers:
            assert answer.status == 503
            assert "<h1>" in answer.body
            assert answer.header("retry-after") == "300"
        assert other.status == 200, "the switch of one site is another's"
        wait_for("the site", lambda: machine.ask(PAGES + "/").status == 200, seconds=2)
