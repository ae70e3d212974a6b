"""The collectors of test/export/run.py: real ones, started in the lab's namespace, with what they wrote."""

import json
import pathlib
import signal
import string
import subprocess
import sys

from lab.namespaces import LabError

HERE = pathlib.Path(__file__).resolve().parent
NAMESPACE = "exports"


def listening(lab, kind, port):
    """Whether a socket is bound to the port."""
    return lambda: lab.run(NAMESPACE, ["ss", "-Hln", f"--{kind}", f"sport = :{port}"]).stdout.strip()


def json_lines(path):
    """The lines of a file that somebody may be writing."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


class Collector:
    """A program on a port; `kind`: tcp or udp."""

    def __init__(self, lab, name, kind, port, command):
        self.lab, self.name, self.kind, self.port, self.command = lab, name, kind, port, command
        self.directory = lab.directory / name
        self.directory.mkdir(exist_ok=True)
        self.process = None

    def start(self):
        self.process = self.lab.start(NAMESPACE, self.name, self.command)
        try:
            self.lab.wait_until(listening(self.lab, self.kind, self.port), f"{self.name}: its port is open")
        except LabError as error:
            raise LabError(f"{error}\n{self.process.output()}") from error
        return self

    def stop(self):
        self.process.signal(signal.SIGCONT)
        self.lab.stop(self.process)

    def kill(self):
        """As a crash does."""
        self.process.signal(signal.SIGKILL)
        self.lab.stop(self.process)


class Rsyslog(Collector):
    """`how`: udp, tcp or tls; `rows`: messages are parsed, too."""

    def __init__(self, lab, name, how, port, certificates=None, rows=True):
        self.config = lab.directory / f"{name}.conf"
        super().__init__(lab, name, "udp" if how == "udp" else "tcp", port,
                         ["rsyslogd", "-n", "-f", self.config, "-i", lab.directory / f"{name}.pid"])
        where = f'address="127.0.0.1" port="{port}"'
        inputs = {
            "udp": f'module(load="imudp") input(type="imudp" {where} rcvbufSize="64m")',
            "tcp": f'module(load="imtcp") input(type="imtcp" {where})',
            "tls": 'module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" '
                   'StreamDriver.AuthMode="x509/name" PermittedPeer=["cgn1.example"]) '
                   f'input(type="imtcp" {where})',
        }
        tls = "" if certificates is None else (
            f'defaultNetstreamDriverCAFile="{certificates.ca}" '
            f'defaultNetstreamDriverCertFile="{certificates.file("siem.pem")}" '
            f'defaultNetstreamDriverKeyFile="{certificates.file("siem.key")}"')
        parse = (f'action(type="mmpstrucdata") action(type="omfile" file="{self.directory}/rows" template="row")'
                 if rows else "")
        self.config.write_text((HERE / "rsyslog.conf").read_text().format(
            directory=self.directory, input=inputs[how], tls=tls, parse=parse))

    def rows(self):
        return json_lines(self.directory / "rows")

    def raw(self):
        path = self.directory / "raw"
        return path.read_text(errors="replace") if path.exists() else ""


class Keeper(Collector):
    """collector.py"""

    def __init__(self, lab, name, kind, port):
        super().__init__(lab, name, kind, port, [sys.executable, "-B", HERE / "collector.py", kind, port,
                                                 lab.directory / name])

    def datagrams(self):
        path = self.directory / "datagrams"
        return path.read_bytes() if path.exists() else b""

    def streams(self):
        return [p.read_bytes() for p in sorted(self.directory.glob("stream-*"), key=lambda p: int(p.name[7:]))]


class Nfcapd(Collector):
    def __init__(self, lab, name, port):
        super().__init__(lab, name, "udp", port,
                         ["nfcapd", "-w", lab.directory / name, "-p", port, "-b", "127.0.0.1", "-t", 3600])

    def records(self):
        """What nfdump says of them. nfcapd has to be stopped."""
        text, records = self.lab.run(NAMESPACE, ["nfdump", "-q", "-R", self.directory, "-o", "json"]).stdout, []
        decoder = json.JSONDecoder()
        while (begin := text.find("{")) >= 0:
            record, end = decoder.raw_decode(text[begin:])
            records.append(record)
            text = text[begin + end:]
        return records


class Nfacctd(Collector):
    """pmacct's, printing JSON. The elements that it has no names for get some."""

    PRIMITIVES = {"ordinal": (148, 8), "first_port": (361, 2), "last_port": (362, 2), "ports": (364, 2),
                  "nat_instance": (463, 4), "quota": (466, 4), "refused": (133, 8)}

    def __init__(self, lab, name, port):
        directory = lab.directory / name
        super().__init__(lab, name, "udp", port, ["nfacctd", "-f", directory / "conf"])
        (directory / "primitives").write_text("".join(
            f"name={key} field_type={element} len={size} semantics=u_int\n"
            for key, (element, size) in self.PRIMITIVES.items()))
        (directory / "conf").write_text(string.Template(
            "daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: $port\nplugins: print[a]\n"
            "print_refresh_time[a]: 1\nprint_output[a]: json\nprint_output_file[a]: $directory/rows\n"
            "print_output_file_append[a]: true\naggregate_primitives: $directory/primitives\ntimestamps_utc: true\n"
            "aggregate[a]: nat_event, src_host, src_port, dst_host, dst_port, proto, post_nat_src_host, "
            "post_nat_src_port, timestamp_start, $primitives\n").substitute(
                port=port, directory=directory, primitives=", ".join(self.PRIMITIVES)))

    def stop(self):
        # Its plugin is a process of its own and may outlive it: both end with the namespace otherwise.
        plugins = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.signal(signal.SIGKILL)
        for plugin in plugins:
            subprocess.run(["kill", "-KILL", plugin], stderr=subprocess.DEVNULL, check=False)
        self.lab.stop(self.process)

    def rows(self):
        return json_lines(self.directory / "rows")


class Certificates:
    """An authority, and certificates of it, by openssl(1)."""

    def __init__(self, lab, name):
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.ca = self.file("ca.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", f"/CN={name}", "-keyout", self.file("ca.key"), "-out", self.ca)

    def file(self, name):
        return self.directory / name

    def sign(self, name, alternatives):
        """NAME.pem and NAME.key for these subjectAltNames."""
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.csr"))
        extensions = self.file(f"{name}.ext")
        extensions.write_text(f"subjectAltName={alternatives}\n")
        self._openssl("x509", "-req", "-in", self.file(f"{name}.csr"), "-CA", self.ca, "-CAkey", self.file("ca.key"),
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", self.file(f"{name}.pem"))

    @staticmethod
    def _openssl(*arguments):
        result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise LabError(f"openssl {arguments[0]}: {result.stderr}")
