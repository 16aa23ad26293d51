"""What is installed and what is refused before that: another version of certbot and the way back, units, secrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from lineages import assert_well, renew, shop
from machine import Machine
from pebble import counted
from playbook import ROOT, Outcome, Playbook

ALONE = ROOT / "molecule/certbot/role_alone.yml"
PREPARE = "Prepare the host"
INSTALL = "Install certbot of a version of its own, or go back to the distribution's"
VERSION = "5.8.0"
LINK = "/usr/local/bin/certbot"
ENVIRONMENTS = "/usr/local/lib/asgi.deploy/certbot"
#: What the packages of the two releases are; the program tells which one it is itself.
DEBIANS = {"debian12": "certbot 2.1.0", "debian13": "certbot 4.0.0"}
SECRET = "hunter2hunter2"


def alone(play: Playbook, *options: str, code: int = 0, **extra: object) -> Outcome:
    """Run the role by itself: nothing here is about nginx."""
    return play(*options, extra=extra, code=code, playbook=str(ALONE))


def debians(machine: Machine) -> str:
    return next(said for release, said in DEBIANS.items() if release in machine.name)


def started(machine: Machine) -> str:
    """What the timer's unit starts, as systemd has it loaded."""
    return machine.run("systemctl show --property=ExecStart certbot.service")


class TestAnotherVersion:
    @pytest.fixture(scope="class")
    @classmethod
    def installed(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        with counted(machines) as orders:
            outcome = alone(play, certbot_version=VERSION)
        assert set(orders.values()) == {0}
        yield outcome
        # After the way back, which the tests go in between.
        alone(play).assert_unchanged()

    def test_it_is_the_one_for_people_and_for_the_timer(self, machine: Machine, installed: Outcome) -> None:
        assert INSTALL in installed.hosts[machine.name].changed
        assert machine.run("certbot --version").strip() == f"certbot {VERSION}"
        assert f"path={ENVIRONMENTS}/current/bin/certbot ;" in started(machine)
        # One command, not the package's besides.
        assert started(machine).count("path=") == 1
        assert machine.run("/usr/bin/certbot --version").strip() == debians(machine)

    def test_the_timers_unit_renews_with_it(self, machine: Machine, installed: Outcome) -> None:
        lineage = shop(machine)
        before = lineage.on_disk()
        lineage.make_due()
        assert renew(machine)
        assert lineage.on_disk() == lineage.served() != before
        assert lineage.renewal()["version"] == VERSION
        assert_well(machine)

    def test_it_asks_the_ca_when_to_renew_and_our_threshold_stays(self, machine: Machine, installed: Outcome) -> None:
        """certbot notes in the renewal file when it may ask again, and leaves all else there as it is."""
        assert renew(machine)
        assert shop(machine).threshold() == 30 * 24
        text = machine.run(f"cat {shop(machine).renewal_file}")
        # A CA that has no ARI is asked too, as far as its directory.
        assert text.index("[renewalparams]") < text.index("[acme_renewal_info]\nari_retry_after = ")

    def test_a_second_run_asks_no_index(self, play: Playbook, installed: Outcome) -> None:
        outcome = alone(play, certbot_version=VERSION)
        outcome.assert_unchanged()
        assert INSTALL not in [task for tasks in outcome.hosts.values() for task in tasks.ok]

    @pytest.fixture(scope="class")
    @classmethod
    def unreachable(cls, installed: Outcome, play: Playbook, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
        [book] = yaml.safe_load(ALONE.read_text(encoding="utf-8"))
        path = tmp_path_factory.mktemp("play") / "unreachable.yml"
        # The discard port, where nobody is.
        book["environment"] = {"PIP_INDEX_URL": f"http://me:{SECRET}@127.0.0.1:9/simple"}
        path.write_text(yaml.safe_dump([book]), encoding="utf-8")
        return play(extra={"certbot_version": "5.7.0"}, code=2, playbook=str(path))

    def test_an_index_that_cannot_be_reached_leaves_the_one_before(
        self, machine: Machine, unreachable: Outcome
    ) -> None:
        message = unreachable.hosts[machine.name].message
        assert message.startswith("certbot_version: ")
        assert "No matching distribution found for certbot==5.7.0" in message
        assert "Connection refused" in message
        assert SECRET not in unreachable.output
        assert machine.run("certbot --version").strip() == f"certbot {VERSION}"
        assert renew(machine)

    def test_the_way_back(self, machines: list[Machine], installed: Outcome, play: Playbook) -> None:
        for machine in machines:
            assert shop(machine).renewal()["version"] == VERSION
        with counted(machines) as orders:
            alone(play)
        assert set(orders.values()) == {0}
        for machine in machines:
            assert machine.run("certbot --version").strip() == debians(machine)
            assert not machine.succeeds(f"test -e {ENVIRONMENTS} -o -L {LINK}")
            assert "path=/usr/bin/certbot ;" in started(machine)

    def test_debians_renews_what_the_newer_one_left(self, machine: Machine, installed: Outcome) -> None:
        """The renewal file is the newer one's; this test comes after the way back."""
        lineage = shop(machine)
        before = lineage.on_disk()
        lineage.make_due()
        assert renew(machine)
        assert lineage.on_disk() == lineage.served() != before
        assert lineage.renewal()["version"] == debians(machine).split()[1]
        assert_well(machine)


class TestRefusedBeforeTheFirstChange:
    @pytest.fixture
    def taken(self, machines: list[Machine]) -> Iterator[None]:
        for machine in machines:
            machine.run(f"ln -s /bin/true {LINK}")
        yield
        for machine in machines:
            machine.run(f"rm {LINK}")

    def test_a_place_that_somebody_elses_certbot_has(
        self, machines: list[Machine], play: Playbook, taken: None
    ) -> None:
        outcome = alone(play, code=2, certbot_version=VERSION)
        for machine in machines:
            tasks = outcome.hosts[machine.name]
            assert tasks.changed == []
            assert tasks.message == (
                f'certbot_version: "{VERSION}" is refused; accepted: no value, or a host where its place is free: '
                f"{LINK} is there already, and is not of this collection"
            )
            assert machine.run(f"readlink {LINK}").strip() == "/bin/true"

    def test_a_profile_that_the_hosts_certbot_does_not_know(self, machines: list[Machine], play: Playbook) -> None:
        """Of Debian 13's certbot it is no reason to refuse."""
        outcome = alone(play, "--check", code=2, certbot_profile="shortlived")
        old, new = (outcome.hosts[machine.name] for machine in machines)
        assert old.message == (
            'certbot_profile: "shortlived" is refused; accepted: no value with certbot 2.1.0, which this host has; 4.0 '
            "or later knows profiles (certbot_version)"
        )
        assert old.changed == []
        assert new.failed == []

    def test_a_folder_that_is_not_there(self, machine: Machine, play: Playbook) -> None:
        folder = "/nonexistent/metrics"
        tasks = alone(play, code=2, certbot_textfile_dir=folder).hosts[machine.name]
        assert tasks.message == (f'certbot_textfile_dir: "{folder}" is refused; accepted: a folder that is on the host')
        assert tasks.changed == []


class TestHost:
    """What a hand has changed on the host is mended or named, and a secret is in its file alone."""

    CRON = "/etc/cron.d/renew"
    CONFIG = "/etc/asgi-deploy/certificates.json"

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        for machine in machines:
            machine.run("date '+%F %T' >/run/before-the-play")
            machine.run("systemctl disable --now --quiet certbot.timer asgi-deploy-certificates.timer")
            machine.run(f"chmod 644 {cls.CONFIG}; chmod 755 /var/lib/asgi-deploy/certificates")
            machine.write(cls.CRON, "0 3 * * * root certbot renew -q\n")
            # As a run that was killed leaves it: the file is there, and systemd was not told.
            machine.run("printf '#\\n' >>/lib/systemd/system/certbot.service")
        # Of an alarm the address is a secret.
        yield alone(play, "--diff", "-vvv", certbot_alarm_webhook=f"http://127.0.0.1:9/{SECRET}")
        for machine in machines:
            machine.run(f"rm --force {cls.CRON}")
        alone(play)

    def test_the_timers_run_again(self, machine: Machine, run: Outcome) -> None:
        for timer in ("certbot.timer", "asgi-deploy-certificates.timer"):
            states = machine.run(f"systemctl is-active {timer} && systemctl is-enabled {timer}")
            assert states.split() == ["active", "enabled"]
        assert_well(machine)

    def test_what_is_private_is_private_again(self, machine: Machine, run: Outcome) -> None:
        paths = f"{self.CONFIG} /var/lib/asgi-deploy/certificates"
        assert machine.run(f"stat --format '%U %a' {paths}").splitlines() == ["root 600", "root 700"]

    def test_systemd_is_told(self, machine: Machine, run: Outcome) -> None:
        assert PREPARE in run.hosts[machine.name].changed
        shown = machine.run("systemctl show --property=NeedDaemonReload certbot.service")
        assert shown.strip() == "NeedDaemonReload=no"

    def test_what_renews_besides_is_named(self, machine: Machine, run: Outcome) -> None:
        said = " ".join(run.output.split())
        assert f"{machine.name}: {self.CRON} renews by certbot too, beside certbot.timer: remove it" in said

    def test_the_output_has_the_secret_nowhere(self, run: Outcome) -> None:
        assert SECRET not in run.output
        assert "(something else, or another mode)" in run.output

    def test_the_journal_has_neither_secret_nor_files(self, machine: Machine, run: Outcome) -> None:
        # Modules write there what they are called with. All the texts would be 80 kB with each run.
        since = '--since="$(cat /run/before-the-play)"'
        modules = machine.run(f"journalctl --no-pager --output=cat {since} --grep '^Invoked with '")
        for name in ("files", "private"):
            assert f"{name}=NOT_LOGGING_PARAMETER" in modules
        assert not machine.succeeds(f"journalctl --no-pager --output=cat | grep --quiet {SECRET}")

    def test_one_file_has_the_secret(self, machine: Machine, run: Outcome) -> None:
        found = machine.both(f"grep --recursive --files-with-matches {SECRET} /etc /var/lib /usr/local /run /tmp")
        assert found[1].split() == [self.CONFIG]
