"""Throughput through TLS: the role's nginx against gunicorn itself, a plain proxy_pass, and HAProxy."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.equals import (
    check_requests,
    check_responses,
    haproxy_requests,
    haproxy_responses,
    request_headers,
    response_headers,
)
from tests.bench.host import DOMAIN, HERE, Host, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import ratios, rotated, spread, within

FASTER = 1.3
CHEAPER = 1.0
#: Cheap for the application, so that the proxy shows; logged by nginx like any other path.
PATH = "/health/live"
#: Of each measurement. A connection must not see more requests than nginx's default of 1,000, at which it would
#: be closed under the plain proxy's clients and the comparison would be one of error handling.
REQUESTS = 12_000
#: After these no further round begins.
SECONDS = 240
#: Both have 64 requests under way at any time.
LOADS = {
    "HTTP/1.1": ["--h1", "--clients=64"],
    "HTTP/2": ["--clients=16", "--max-concurrent-streams=4"],
}
_EXPECTED = {"HTTP/1.1": "http/1.1", "HTTP/2": "h2"}


@dataclass(frozen=True)
class Variant:
    name: str
    #: The systemd unit whose CPU counts.
    unit: str
    url: str
    #: Arguments for h2load beside those of the load.
    extra: tuple[str, ...] = ()
    protocols: tuple[str, ...] = tuple(LOADS)


OURS = Variant("role nginx_proxy", "nginx.service", f"https://{DOMAIN}")
PLAIN = Variant("plain proxy_pass", "bench-plain.service", f"https://{DOMAIN}:8443")
#: As Debian packages it: a thread a CPU.
HAPROXY = Variant("HAProxy", "bench-haproxy.service", f"https://{DOMAIN}:9443")
#: The role takes half as many workers as there are CPUs where the application is on the same host. So that it shows
#: what that makes, each once more with the other's number.
OURS_ALL = Variant("role nginx_proxy, a worker a CPU", "bench-workers.service", f"https://{DOMAIN}:10443")
HAPROXY_FEW = Variant("HAProxy, threads as nginx's workers", "bench-haproxy-few.service", f"https://{DOMAIN}:9444")
DIRECT = Variant(
    "gunicorn, no proxy, no TLS", "-", f"http://{DOMAIN}", ("--base-uri=unix:/opt/notes/current.sock",), ("HTTP/1.1",)
)
VARIANTS = {variant.name: variant for variant in (OURS, PLAIN, HAPROXY, OURS_ALL, HAPROXY_FEW, DIRECT)}

#: What the role's nginx tells the application of a request.
SNIPPET = "/etc/nginx/deploy/current/snippets/proxy_headers.conf"
#: The application's own socket gets a second address, the TCP port of the guides: the same two workers answer all.
SOCKET = "[Socket]\nListenStream=127.0.0.1:8000\n"


def prepare(suite: str) -> Host:
    host = Host("proxy", suite)
    say("proxy: installing haproxy and nghttp2-client (h2load) in the container")
    host.install("haproxy", "nghttp2-client")
    host.write("/etc/systemd/system/notes@blue.socket.d/bench.conf", SOCKET)
    say("proxy: deploying the example application and nginx, with the roles")
    host.play("stack.yml")
    host.shell(
        "mkdir -p /etc/bench /var/log/bench; cd /etc/nginx/tls/notes/current\n"
        "cp fullchain.pem privkey.pem /etc/bench; cat fullchain.pem privkey.pem >/etc/bench/pair.pem"
    )
    answered = response_headers(host.shell(f"curl -sSkD - -o /dev/null {OURS.url}{PATH}"))
    cfg = (HERE / "proxies/haproxy.cfg").read_text()
    told = haproxy_requests(request_headers(host.run("cat", SNIPPET)), passed_on(host, OURS))
    cfg = cfg.replace("    @request_headers@\n", told)
    cfg = cfg.replace("    @response_headers@\n", haproxy_responses(answered))
    workers = host.shell("grep -Po '^worker_processes \\K[0-9]+' /etc/nginx/deploy/current/main.conf").strip()
    host.write("/etc/bench/haproxy.cfg", cfg)
    few = cfg.replace("\nglobal\n", f"\nglobal\n    nbthread {workers}\n")
    host.write("/etc/bench/haproxy-few.cfg", few.replace(":9443", ":9444"))
    host.write("/etc/bench/plain.conf", (HERE / "proxies/plain.conf").read_text())
    for program in ("load.py", "workers.sh"):
        host.write(f"/etc/bench/{program}", (HERE / "inside" / program).read_text())
    host.shell(
        "sh /etc/bench/workers.sh\n"
        "for each in haproxy haproxy-few; do haproxy -c -q -f /etc/bench/$each.cfg; done\n"
        "for each in plain.conf workers/nginx.conf; do nginx -t -q -c /etc/bench/$each; done\n"
        "run='systemd-run --quiet --property=LimitNOFILE=16384'\n"
        "for each in haproxy haproxy-few; do\n"
        "    $run --unit=bench-$each --property=StandardOutput=append:/var/log/bench/$each.log"
        " haproxy -db -f /etc/bench/$each.cfg\n"
        "done\n"
        "$run --unit=bench-plain nginx -c /etc/bench/plain.conf -g 'daemon off;'\n"
        "$run --unit=bench-workers nginx -c /etc/bench/workers/nginx.conf -g 'daemon off;'\n"
        f"for port in 8443 9443 9444 10443; do curl -sSk -o /dev/null --retry 20 --retry-connrefused --retry-delay 1"
        f" https://{DOMAIN}:$port{PATH}; done"
    )
    return host


def passed_on(host: Host, variant: Variant) -> dict[str, str]:
    """Return the headers that reach the application from a client that forges all those the proxy sets."""
    forged = " ".join(f"-H '{name}: forged'" for name in request_headers(host.run("cat", SNIPPET)))
    headers: dict[str, str] = json.loads(host.shell(f"curl -sSk {forged} {variant.url}/whoami"))["headers"]
    return headers


def check_equal(host: Host) -> None:
    """Refuse to compare proxies that do not do the same work."""
    answered, told = None, None
    for each in (OURS, OURS_ALL, HAPROXY, HAPROXY_FEW):
        head, passed = (
            response_headers(host.shell(f"curl -sSkD - -o /dev/null {each.url}{PATH}")),
            passed_on(host, each),
        )
        answered, told = answered or head, told or passed
        check_responses(answered, head)
        check_requests(told, passed)


def one(host: Host, variant: Variant, protocol: str, requests: int) -> dict[str, Any]:
    arguments = [*LOADS[protocol], f"--requests={requests}", *variant.extra, variant.url + PATH]
    found: dict[str, Any] = json.loads(host.run("python3", "/etc/bench/load.py", variant.unit, *arguments))
    if found["protocol"] != _EXPECTED[protocol]:
        raise BenchError(f"{variant.name}: {protocol} was asked for, and {found['protocol']} spoken")
    return {"variant": variant.name, "http": protocol, **found}


def log_lines(host: Host) -> dict[str, int]:
    # nginx's lines come with a delay of up to a second.
    logs = {
        OURS: "nginx/access.log",
        PLAIN: "bench/plain.log",
        HAPROXY: "bench/haproxy.log",
        OURS_ALL: "bench/workers.log",
        HAPROXY_FEW: "bench/haproxy-few.log",
    }
    counted = host.shell("sleep 1.5; cd /var/log; " + "; ".join(f"wc -l <{log}" for log in logs.values()))
    return dict(zip([variant.name for variant in logs], map(int, counted.split()), strict=True))


def check_logged(before: dict[str, int], after: dict[str, int], expected: int) -> None:
    """HAProxy drops a line now and then, when both its threads write at once: a few in thousands do not matter."""
    for name, lines in before.items():
        if not 0.99 * expected <= after[name] - lines <= expected:
            raise BenchError(f"{name} wrote {after[name] - lines} lines for {expected} requests: logging is not equal")


def measure(suite: str, rounds: int) -> Report:
    host = prepare(suite)
    check_equal(host)
    pairs = [(variant.name, protocol) for protocol in LOADS for variant in VARIANTS.values()]
    pairs = [(name, protocol) for name, protocol in pairs if protocol in VARIANTS[name].protocols]
    say("proxy: warming up")
    before = log_lines(host)
    for name, protocol in pairs:
        one(host, VARIANTS[name], protocol, REQUESTS // 4)
    check_logged(before, log_lines(host), len(LOADS) * (REQUESTS // 4))
    found: list[dict[str, Any]] = []
    done = 0
    for number in within(rounds, SECONDS):
        for protocol in LOADS:
            for name in rotated([name for name, http in pairs if http == protocol], number):
                found.append({"round": number, **one(host, VARIANTS[name], protocol, REQUESTS)})
        done = number + 1
        say(f"proxy: round {done} of {rounds}")
    ciphers = {entry["cipher"] for entry in found} - {"none"}
    if len(ciphers) != 1:
        raise BenchError(f"the proxies do not encrypt alike: {', '.join(sorted(ciphers))}")
    versions = {package: host.version(package) for package in ("nginx", "haproxy", "nghttp2-client")}
    setting = {"Debian": suite, **versions, "rounds": str(done), "requests a measurement": str(REQUESTS)}
    notes = [
        f"{http}: requests/s of the role's nginx / of gunicorn without proxy and TLS (HTTP/1.1): "
        f"{spread(ratios(column(found, OURS, http, 'rate'), column(found, DIRECT, 'HTTP/1.1', 'rate')))}"
        for http in LOADS
    ]
    pairs_of_cpu = {
        "with a worker a CPU / with the role's number": (OURS_ALL, OURS),
        "of the role's nginx / of HAProxy with as many threads": (OURS, HAPROXY_FEW),
        "of the role's nginx with a worker a CPU / of HAProxy": (OURS_ALL, HAPROXY),
    }
    notes += [
        f"{http}: CPU per request {what}: {spread(ratios(*(column(found, each, http, 'cpu_us') for each in both)))}"
        for http in LOADS
        for what, both in pairs_of_cpu.items()
    ]
    return Report(
        "Throughput through TLS",
        setting | {"cipher": ciphers.pop()},
        table(found, pairs),
        targets(found),
        found,
        notes=notes,
    )


def column(found: Sequence[dict[str, Any]], variant: Variant, http: str, key: str) -> list[float]:
    return [float(entry[key]) for entry in found if (entry["variant"], entry["http"]) == (variant.name, http)]


def table(found: Sequence[dict[str, Any]], pairs: Sequence[tuple[str, str]]) -> Table:
    rows = []
    for name, http in pairs:
        rate, p99, cpu = (column(found, VARIANTS[name], http, key) for key in ("rate", "p99_ms", "cpu_us"))
        cost = f"{statistics.median(cpu):.1f}" if VARIANTS[name].unit != "-" else "-"
        rows.append([f"{http}, {name}", f"{statistics.median(rate):.0f}", f"{statistics.median(p99):.1f}", cost])
    return Table(["medians of the rounds", "requests/s", "p99, ms", "proxy CPU, µs/request"], rows)


def targets(found: Sequence[dict[str, Any]]) -> list[Target]:
    wanted = []
    for http in LOADS:
        ours, plain = (column(found, variant, http, "rate") for variant in (OURS, PLAIN))
        wanted.append(
            Target(
                f"{http}, requests/s of the role's nginx / of the plain proxy",
                spread(ratios(ours, plain)),
                "at least",
                FASTER,
            )
        )
        ours, theirs = (column(found, variant, http, "cpu_us") for variant in (OURS, HAPROXY))
        wanted.append(
            Target(
                f"{http}, CPU per request of the role's nginx / of HAProxy",
                spread(ratios(ours, theirs)),
                "at most",
                CHEAPER,
            )
        )
    return wanted
