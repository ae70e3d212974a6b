"""culvertd in the lab's appliance namespace, and the questions that `culvert` asks it."""

import json
import os
import pathlib
import shutil
import signal
import time

from lab.namespaces import LabError

CONFIG_DIRECTORY = "/run/culvert-demo"  # stands in conf/demo.yaml for the lab's own directory
METRICS = "127.0.0.1:9780"


class Culvertd:
    """One culvertd. `build` is the meson build directory that has it."""

    def __init__(self, lab, build):
        self.lab = lab
        self.build = pathlib.Path(build).resolve()
        self.state = lab.directory / "culvertd"
        self.config = lab.directory / "culvertd.yaml"
        self.socket = self.state / "control.sock"
        self.ledger = self.state / "ledger"
        self.process = None
        self.environment = {}  # of culvertd

    @property
    def culvert(self):
        """The path of the `culvert` command."""
        return self.build / "tools" / "culvert"

    def daemon(self):
        """The path of culvertd."""
        path = self.build / "tools" / "culvertd"
        if not path.exists():
            raise LabError(f"{path} is not there: build it first (ninja -C {self.build})")
        return path

    def write_config(self, text):
        """Puts this lab's directory into a configuration and writes it where culvertd reads it."""
        self.config.write_text(text.replace(CONFIG_DIRECTORY, str(self.state)))

    def start(self, text, timeout=20, keep_ledger=False):
        """Nobody holds anything then, unless `keep_ledger`."""
        self.write_config(text)
        if not keep_ledger:
            shutil.rmtree(self.ledger, ignore_errors=True)
        (self.state / "rings").mkdir(parents=True, exist_ok=True)
        self.process = self.lab.start_notifying("appliance", "culvertd", [self.daemon(), "--config", self.config],
                                                timeout, self.environment)
        return self

    def stop(self, timeout=10):
        """SIGTERM; gives (exit code, seconds)."""
        began = time.monotonic()
        code = self.lab.stop(self.process, timeout)
        self.process = None
        return code, time.monotonic() - began

    def kill(self):
        """SIGKILL."""
        self.process.signal(signal.SIGKILL)
        self.process.popen.wait(30)
        self.lab.stop(self.process)
        self.process = None

    def reload(self, text):
        """Writes the file and asks by `culvert reload`; the finished command (exit code, words)."""
        self.write_config(text)
        return self.ask("reload", check=False)

    def hang_up(self, text):
        """Writes the file and sends SIGHUP, as `systemctl reload` does."""
        self.write_config(text)
        self.process.signal(signal.SIGHUP)

    def ask(self, *arguments, check=True):
        """Runs `culvert` against this culvertd."""
        return self.lab.run("appliance", [self.culvert, "--socket", self.socket, *arguments], check=check)

    def rows(self, *arguments):
        """The rows of a listing (`mappings`, `blocks`, `pools` …) as dictionaries."""
        return parse_rows(self.ask(*arguments, "--json").stdout)

    def text(self, *arguments):
        return self.ask(*arguments).stdout

    def metrics(self):
        """The Prometheus page as {name{labels}: value}."""
        page = self.lab.run("appliance", ["curl", "-sf", f"http://{METRICS}/metrics"]).stdout
        values = {}
        for line in page.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def log_records(self):
        """The lines of `culvert log show`."""
        shown = self.lab.run("appliance", [self.culvert, "log", "show", "--ledger", self.ledger], check=False)
        return shown.stdout.splitlines()


def parse_rows(text):
    """Rows as dictionaries, out of one object a line."""
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [row for row in rows if not row.get("end")]


def demo_config():
    """conf/demo.yaml as it stands."""
    return (pathlib.Path(__file__).parents[2] / "conf" / "demo.yaml").read_text()


def default_build():
    """The release build that ./check and ./demo make."""
    return pathlib.Path(os.environ.get("CULVERT_BUILD", pathlib.Path(__file__).parents[2] / "build"))
