"""The real servers of the lab: a web server and iperf3 on the internet, a DNS64 resolver in the access network."""

import hashlib
import os
import pathlib

from lab import topology

HERE = pathlib.Path(__file__).parent
FILE_BYTES = 8 << 20


def _configure(lab, name):
    """A configuration file with the lab's directory written in; its path."""
    text = (HERE / name).read_text().replace("@DIRECTORY@", str(lab.directory))
    path = lab.directory / name
    path.write_text(text)
    return path


def start_web(lab):
    """nginx on the server: /file (random bytes), /whoami (the client's address and port as seen there)."""
    web = lab.directory / "web"
    web.mkdir()
    (web / "file").write_bytes(os.urandom(FILE_BYTES))
    (lab.directory / "nginx").mkdir()
    process = lab.start("server", "nginx", ["nginx", "-e", "stderr", "-c", _configure(lab, "nginx.conf")])
    lab.wait_until(lambda: not process.running() or
                   lab.run("server", ["curl", "-sf", f"http://{topology.SERVER}/whoami"], check=False).returncode == 0,
                   "the web server answers")
    if not process.running():
        raise_output(process)
    return process


def start_dns64(lab):
    """unbound with its dns64 module, authoritative for example.net."""
    (lab.directory / "example.net.zone").write_text((HERE / "example.net.zone").read_text())
    process = lab.start("access", "unbound", ["unbound", "-d", "-c", _configure(lab, "unbound.conf")])
    lab.wait_until(lambda: not process.running() or
                   lab.run("phone", ["getent", "ahostsv6", topology.SERVER_NAME], check=False).returncode == 0,
                   "the DNS64 resolver answers")
    if not process.running():
        raise_output(process)
    return process


def start_iperf(lab):
    return lab.start("server", "iperf3", ["iperf3", "-s", "-B", topology.SERVER])


def raise_output(process):
    from lab.namespaces import LabError
    raise LabError(f"{process.name} ended at once with exit code {process.popen.returncode}:\n{process.output()}")


def file_digest(lab):
    """SHA-256 of what /file holds."""
    return hashlib.sha256((lab.directory / "web" / "file").read_bytes()).hexdigest()
