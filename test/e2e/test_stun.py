"""What a host behind the box finds out of it by STUN (RFC 5780): mapping `eim`, filtering as configured."""

import stun
from support import instance, topology

PORT, OTHER_PORT = 3478, 3479
COTURN_SAYS = {stun.EIM: "Endpoint Independent", stun.ADM: "Address Dependent", stun.APDM: "Address and Port Dependent"}


def start_stun(net):
    """coturn on both of the server's addresses and two ports, which makes four endpoints."""
    directory = net.lab.directory
    process = net.lab.start("server", "turnserver", [
        "turnserver", "-n", "--stun-only", "-L", topology.SERVER, "-L", topology.STRANGER, "-p", PORT,
        "--alt-listening-port", OTHER_PORT, "--no-tls", "--no-dtls", "--no-tcp", "--no-cli", "--log-file", "stdout",
        "--pidfile", directory / "turnserver.pid", "--userdb", directory / "turnserver.db"])

    def answers():
        s = net.server.udp(address=topology.STRANGER)
        return stun.bind(s, (topology.SERVER, PORT), stun.CHANGE_IP | stun.CHANGE_PORT)
    net.lab.wait_until(answers, "the STUN server answers")
    return process


def check(net, kind, filtering):
    """By our own client on each subscriber, and by coturn's where both ends speak IPv4."""
    if not hasattr(net, "stun_server"):
        net.stun_server = start_stun(net)

    def change(config):
        for name in net.subscribers:
            instance(config, name)["filtering-type"] = kind
    answer = net.daemon.reload(net.text(change))
    assert answer.returncode == 0, answer.stdout + answer.stderr

    others = {}
    for name in ("nat44", "ds-lite"):
        host = net.subscribers[name]
        others[name] = net.lab.start(host.namespace, f"natdiscovery-{kind}-{name}", [
            "turnutils_natdiscovery", "-m", "-f", "-L", host.address, topology.SERVER])
    for name, subscriber in net.subscribers.items():
        found = stun.classify(subscriber.udp, topology.SERVER, PORT, subscriber.dial)
        assert found == (stun.EIM, filtering), f"{name}: mapping, filtering: {found}"
    for name, process in others.items():
        net.lab.wait_until(lambda p=process: not p.running(), "coturn's client is done", 20)
        said = [line for line in process.output(1000).splitlines() if line.startswith("NAT with")]
        assert said == ["NAT with Endpoint Independent Mapping!", f"NAT with {COTURN_SAYS[filtering]} Filtering!"], (
            f"{name}: {said}\n{process.output(1000)}")


def test_stun_finds_endpoint_independent_filtering(net):
    """RFC 4787 REQ-1, REQ-8: for all who want transparency."""
    check(net, "eif", stun.EIM)


def test_stun_finds_address_dependent_filtering(net):
    check(net, "adf", stun.ADM)


def test_stun_finds_address_and_port_dependent_filtering(net):
    """As strict as RFC 6888's reader may want; the mapping is as before."""
    check(net, "edf", stun.APDM)
