"""The demonstration: ./demo runs this after installing and building."""

import argparse
import hashlib
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rsplit("/", 2)[0])

from lab import appliance, namespaces, services, show, topology  # noqa: E402

HELP = """\
Three kinds of subscribers reach one IPv4 web server through culvertd, on this machine alone:

  v4sub   plain IPv4, 100.64.1.2                     NAT44
  phone   IPv6 only, by name through a real DNS64    NAT64    (RFC 6146)
  home    IPv4 carried in IPv6 by `culvert ce`       DS-Lite  (RFC 6333)

Everything lives in network namespaces and is removed at the end, also after Ctrl-C."""

# who, where it runs, what carries it, what it asks for
TRANSFERS = [("v4sub", "v4sub", "NAT44", topology.SERVER),
             ("phone", "phone", "NAT64", topology.SERVER_NAME),
             ("home", "home-host", "DS-Lite", topology.SERVER)]


def transfer(lab, namespace, host):
    """Fetches the server's file as that subscriber; (SHA-256, bytes, seconds, the address the server saw)."""
    began = time.monotonic()
    path = lab.directory / f"fetched-{namespace}"
    lab.run(namespace, ["curl", "-sSf", "--connect-timeout", 5, "--max-time", 60, "-o", path, f"http://{host}/file"], timeout=70)
    seconds = time.monotonic() - began
    data = path.read_bytes()
    seen = lab.run(namespace, ["curl", "-sSf", "--max-time", 10, f"http://{host}/whoami"]).stdout.split()
    return hashlib.sha256(data).hexdigest(), len(data), seconds, ":".join(seen)


def carry(lab):
    expected = services.file_digest(lab)
    failures = 0
    for who, namespace, carriage, host in TRANSFERS:
        try:
            with show.step(f"{who} fetches 8 MiB by {carriage}") as step:
                digest, size, seconds, seen = transfer(lab, namespace, host)
                step.note = f"{size * 8 / seconds / 1e6:5.0f} Mbit/s   seen as {seen}   sha256 {digest[:12]}"
                if digest != expected:
                    raise namespaces.LabError(f"the file arrived changed: {digest}, not {expected}")
        except namespaces.LabError as error:
            show.block(str(error), 6)
            failures += 1
    return failures


def show_state(daemon):
    for name, heading in (("mappings", "Mappings"), ("blocks", "Port blocks")):
        show.title(heading)
        show.block(daemon.text(name))
    show.title("Block log")
    show.block("\n".join(daemon.log_records()))
    show.title("Metrics")
    show.line(f"   http://{appliance.METRICS}/metrics in the appliance; among them")
    wanted = ("culvert_mappings{", "culvert_blocks{", "culvert_packets_total", "culvert_pool_usage", "culvert_log_events")
    rows = [(name, f"{value:g}") for name, value in sorted(daemon.metrics().items())
            if value and name.startswith(wanted)]
    show.table(("metric", "value"), rows[:14])


def explain_how_to_play(lab, daemon):
    enter = "ip netns exec " + lab.full_name("")
    show.title("The lab stays up; Ctrl-C takes it down. From another terminal, as root:")
    show.block(f"""\
{enter}v4sub curl http://{topology.SERVER}/whoami
{enter}phone curl http://{topology.SERVER_NAME}/whoami
{enter}home-host curl http://{topology.SERVER}/whoami
{enter}home-host bash
{daemon.culvert} --socket {daemon.socket} mappings
{enter}appliance curl http://{appliance.METRICS}/metrics
{enter}access tcpdump -ni up0
configuration {daemon.config}; after a change: {daemon.culvert} --socket {daemon.socket} reload
logs in {lab.directory}""")
    while True:
        signal.pause()


def demonstrate(build, keep):
    with namespaces.Lab(lambda text: show.line(f"   {text}")) as lab:
        show.title("The network")
        with show.step("namespaces and cables"):
            topology.raise_network(lab)
        with show.step("web server (nginx) and DNS64 (unbound)"):
            services.start_web(lab)
            services.start_dns64(lab)
        daemon = appliance.Culvertd(lab, build)
        with show.step("culvertd with conf/demo.yaml"):
            daemon.start(appliance.demo_config())
        with show.step("culvert ce, the home's B4"):
            topology.start_b4(lab, daemon.culvert, topology.HOMES[0])
        show.title("Transfers")
        failures = carry(lab)
        show_state(daemon)
        if keep:
            explain_how_to_play(lab, daemon)
        show.title("The end")
        with show.step("culvertd stops") as step:
            code, seconds = daemon.stop()
            step.note = f"exit code {code} after {seconds:.2f} s"
            failures += code != 0
    if failures:
        show.line(f"\n{show.red('Not all went well')}: see above.")
    else:
        show.line(f"\n{show.green('All three transfers arrived unchanged.')}")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(prog="./demo", description=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the lab up for playing, until Ctrl-C")
    parser.add_argument("--build", default=appliance.default_build(), help="build directory (%(default)s)")
    arguments = parser.parse_args()
    namespaces.end_on_signals()
    try:
        return demonstrate(arguments.build, arguments.keep)
    except namespaces.Interrupted as signal_name:
        show.line(f"\n   {signal_name}: everything is taken down")
        return 130
    except namespaces.LabError as error:
        show.line()
        show.block(show.red(str(error)))
        return 1


if __name__ == "__main__":
    sys.exit(main())
