"""From certbot to nginx and to other services: what one run missed, the next one brings, whoever starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lineages import FACT, PROGRAM, assert_visible, assert_well, blog, fact, renew, shop, watch
from machine import Machine, wait_for
from playbook import Outcome, Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")

#: By hand, as an operator calls it.
RENEW = (
    "REQUESTS_CA_BUNDLE=/etc/pebble/ca.pem certbot -q renew --cert-name shop --force-renewal --no-random-sleep-on-renew"
)
RELOADS = "journalctl --unit nginx.service -o cat | grep -c 'Reloaded nginx' || true"
SEEN = "/var/tmp/deployed"


def reloads(machine: Machine) -> int:
    return int(machine.run(RELOADS))


class TestHook:
    def test_a_renewal_by_hand_is_served_at_once(self, machine: Machine) -> None:
        before = shop(machine).served()
        machine.run(RENEW)
        assert shop(machine).served() == shop(machine).on_disk() != before
        assert_well(machine)

    def test_a_renewal_that_its_hook_missed_is_brought_by_the_unit_that_watches(self, machine: Machine) -> None:
        machine.run(f"{RENEW} --no-directory-hooks")
        assert shop(machine).served() != shop(machine).on_disk()
        assert watch(machine)
        assert_well(machine)

    def test_where_the_program_comes_right_after_the_hook_leaves_it_to_it(self, machine: Machine) -> None:
        machine.run(f"export ASGI_DEPLOY_AFTERWARDS=1; {RENEW}")
        assert shop(machine).served() != shop(machine).on_disk()
        assert renew(machine)
        assert_well(machine)

    def test_killed_between_the_flip_and_the_reload(self, machine: Machine) -> None:
        lineage, folder = shop(machine), "/etc/nginx/tls/shop"
        bootstrap = machine.fingerprint(f"{folder}/bootstrap/fullchain.pem")
        machine.run(f"ln -sfn bootstrap {folder}/current && systemctl reload nginx.service")
        wait_for("the self-signed pair", lambda: lineage.served() == bootstrap)
        machine.run(f"ln -sfn {lineage.folder} {folder}/current")
        assert lineage.served() == bootstrap
        code, output = machine.both(PROGRAM)
        assert (
            code,
            output.partition(" valid until")[0].startswith("shop: nginx serves the certificate from Pebble"),
        ) == (0, True)
        assert_well(machine)


class TestAllIsWell:
    def test_nothing_is_done_and_nothing_said(self, machine: Machine) -> None:
        before = machine.files("/etc/nginx", "/etc/letsencrypt"), reloads(machine)
        assert machine.both(PROGRAM) == (0, "")
        assert renew(machine)
        files = machine.files("/etc/nginx", "/etc/letsencrypt")
        # certbot's own lock and log come and go.
        assert {path for path in {*files, *before[0]} if files.get(path) != before[0].get(path)} <= {
            "/etc/letsencrypt/.certbot.lock"
        }
        assert reloads(machine) == before[1]

    def test_the_table_says_so(self, machine: Machine) -> None:
        lines = machine.run(f"{PROGRAM} --status").splitlines()
        assert lines[0].split() == ["CERTIFICATE", "NAMES", "VALID", "UNTIL", "RENEWED", "FROM", "SITES"]
        assert [line.split()[:2] for line in lines[1:3]] == [
            ["blog", "blog.example.test"],
            ["shop", "shop.example.test"],
        ]
        assert lines[-1] == "all is well"
        assert any(line.startswith("last renewal: 20") and line.endswith(", ok") for line in lines)

    def test_ansible_reads_the_fact(self, machine: Machine) -> None:
        told = fact(machine)["certificates"]
        assert set(told) == {"shop", "blog"}
        assert told["shop"]["names"] == ["shop.example.test"]
        assert told["shop"]["sites"] == {"shop": {"serves": "certbot", "served": told["shop"]["fingerprint"]}}
        assert told["shop"]["not_before"] < told["shop"]["renew_at"] < told["shop"]["not_after"]
        files = f"{FACT} /var/lib/asgi-deploy/certificates"
        assert machine.run(f"stat --format '%a %U' {files}").splitlines() == ["644 root", "700 root"]


class TestUnfit:
    @pytest.fixture
    def _foreign_key(self, machine: Machine) -> Iterator[None]:
        key = machine.run(f"readlink -f {shop(machine).folder}/privkey.pem").strip()
        machine.run("cp -a %s %s.kept && openssl ecparam -name prime256v1 -genkey -noout -out %s", *[key] * 3)
        yield
        machine.run("mv %s.kept %s", key, key)
        assert renew(machine)
        assert watch(machine)
        assert_well(machine)

    @pytest.mark.usefixtures("_foreign_key")
    def test_a_foreign_key_is_told_and_not_served(self, machine: Machine) -> None:
        before, count = shop(machine).served(), reloads(machine)
        assert not renew(machine)
        assert_visible(machine, "certbot.service", "shop: ", "is not the key of", "the pair before it stays")
        assert (shop(machine).served(), reloads(machine)) == (before, count)
        # The renewal itself went well.
        assert fact(machine)["renewal"]["ok"] is True
        assert "is not the key of" in machine.both(f"{PROGRAM} --status")[1]


class TestTimer:
    @pytest.fixture
    def _disabled(self, machine: Machine) -> Iterator[None]:
        machine.run("systemctl disable --now --quiet certbot.timer")
        yield
        machine.run("systemctl enable --now --quiet certbot.timer")
        assert watch(machine)
        assert_well(machine)

    @pytest.mark.usefixtures("_disabled")
    def test_one_that_does_not_run_is_noticed_by_the_other(self, machine: Machine) -> None:
        assert not watch(machine)
        assert_visible(machine, f"{PROGRAM}.service", "certbot.timer is inactive")
        # The play starts it, and so it is no reason to fail there.
        code, output = machine.both(f"{PROGRAM} --play")
        assert code == 0, output
        assert output.startswith("warning: certbot.timer is inactive, so that nothing renews")


class TestDeployCommand:
    COMMAND = f'test ! -e {SEEN}.refuse && openssl x509 -noout -serial -in "$ASGI_DEPLOY_LINEAGE/cert.pem" >>{SEEN}'

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        yield play(extra={"certbot_deploy_command": cls.COMMAND}, playbook=ALONE, code=0)
        play(playbook=ALONE, code=0)
        for machine in machines:
            machine.run(f"rm -f {SEEN} {SEEN}.refuse")

    def seen(self, machine: Machine) -> list[str]:
        return machine.run(f"cat {SEEN}").splitlines()

    def serial(self, machine: Machine, name: str) -> str:
        return machine.run(f"openssl x509 -noout -serial -in /etc/letsencrypt/live/{name}/cert.pem").strip()

    def test_it_has_seen_each_certificate_once(self, machine: Machine, outcome: Outcome) -> None:
        assert "Hold the certificates" in outcome.hosts[machine.name].changed
        assert sorted(self.seen(machine)) == sorted([self.serial(machine, "shop"), self.serial(machine, "blog")])
        assert watch(machine)
        assert len(self.seen(machine)) == 2

    def test_a_renewed_one_is_brought_to_it(self, machine: Machine) -> None:
        shop(machine).make_due()
        assert renew(machine)
        assert self.seen(machine)[2:] == [self.serial(machine, "shop")]

    def test_it_is_repeated_until_it_succeeds(self, machine: Machine) -> None:
        machine.run(f"touch {SEEN}.refuse")
        blog(machine).make_due()
        assert not renew(machine)
        assert blog(machine).served() == blog(machine).on_disk()
        assert_visible(machine, "certbot.service", "blog: certbot_deploy_command ended with 1")
        machine.run(f"rm {SEEN}.refuse")
        assert watch(machine)
        assert self.seen(machine)[3:] == [self.serial(machine, "blog")]
        assert renew(machine)
        assert_well(machine)

    def test_a_second_play_changes_nothing(self, machines: list[Machine], play: Playbook) -> None:
        play(extra={"certbot_deploy_command": self.COMMAND}, playbook=ALONE).assert_unchanged()
        for machine in machines:
            assert len(self.seen(machine)) == 4
