"""Two homes with the same inner addresses never meet (RFC 6333 §6.6: the softwire is part of the key)."""

from support import receive_nothing, topology

PORT = 7100


def test_same_inner_endpoint_in_two_homes(net):
    server = net.server.udp(PORT)
    sockets = {home: home.udp(40000) for home in (net.home, net.home2)}
    external = {}
    for home, s in sockets.items():
        s.sendto(home.namespace.encode(), (topology.SERVER, PORT))
        data, external[home] = server.recvfrom(2048)
        assert data == home.namespace.encode()
    assert external[net.home] != external[net.home2]
    for home in sockets:
        server.sendto(b"for " + home.namespace.encode(), external[home])
    for home, s in sockets.items():
        assert s.recv(2048) == b"for " + home.namespace.encode()


def test_both_homes_fetch_at_once(net):
    running = [net.lab.start(home.namespace, f"fetch-{home.namespace}",
                             ["curl", "-sSf", "--local-port", "41000-41100", "-o", "/dev/null", "-w", "%{http_code}",
                              f"http://{topology.SERVER}/file"]) for home in (net.home, net.home2)]
    for process in running:
        net.lab.wait_until(lambda p=process: not p.running(), "curl ends", 30)
        assert process.popen.returncode == 0 and process.output() == "200", process.output()


def test_homes_are_different_subscribers(net):
    """Each home has its own block, on record (promise: no port that the log does not know)."""
    first, second = net.home.whoami(), net.home2.whoami()
    assert first != second
    for address, port in (first, second):
        rows = net.mappings_of(address, port)
        assert len(rows) == 1, rows
    assert len(net.daemon.rows("blocks")) >= 2


def test_softwire_from_a_wrong_source_is_dropped(net):
    """The AFTR is no open relay: a B4 outside of every subscriber-match gets nothing."""
    server = net.server.udp(PORT + 1)
    net.lab.ip("home", "addr add 2001:db8:bad::2/128 dev wan0 nodad")
    net.lab.ip("access", f"route add 2001:db8:bad::2/128 via {topology.HOMES[0].b4}")
    ce = net.lab.start_notifying("home", "bad-ce", [
        net.daemon.culvert, "ce", "--mode", "b4", "--tun", "bad", "--local", "2001:db8:bad::2", "--remote", topology.AFTR,
        "--inner", "192.0.0.3/29"])
    try:
        net.lab.ip("home", f"route add {topology.SERVER}/32 dev bad")
        net.home.udp().sendto(b"from nowhere", (topology.SERVER, PORT + 1))
        assert receive_nothing(server)
    finally:
        net.lab.stop(ce)
        net.lab.ip("access", "route del 2001:db8:bad::2/128")
        net.lab.ip("home", "addr del 2001:db8:bad::2/128 dev wan0")
