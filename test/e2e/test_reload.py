"""A changed file under traffic costs nothing that did not change; what cannot change is refused whole."""

import threading
import time

from support import for_each_carriage, instance, topology, within

PORT = 7300
EXTRA_POOL = "203.0.113.64/28"


def with_extra_pool(config):
    instance(config, "nat44")["external-ip-address-pool"].append(EXTRA_POOL)


class Stream:
    """Numbered datagrams from each subscriber, 200 a second, while the block runs; then `lost` says how many did
    not reach the server and `endpoints` from where they came."""

    def __init__(self, net):
        self.server = net.server.udp(PORT)
        self.server.setsockopt(1, 8, 4 << 20)  # SO_RCVBUF
        self.senders = {c: (s, s.udp()) for c, s in net.subscribers.items()}
        self.sent = {c: 0 for c in self.senders}
        self.got = {c: set() for c in self.senders}
        self.endpoints = {c: set() for c in self.senders}
        self.ending = threading.Event()

    def _send(self):
        while not self.ending.is_set():
            for carriage, (subscriber, sock) in self.senders.items():
                sock.sendto(f"{carriage} {self.sent[carriage]}".encode(), (subscriber.dial(topology.SERVER), PORT))
                self.sent[carriage] += 1
            time.sleep(0.005)

    def _receive(self):
        self.server.settimeout(1)
        while True:
            try:
                data, endpoint = self.server.recvfrom(2048)
            except TimeoutError:
                if self.ending.is_set():
                    return
                continue
            carriage, number = data.decode().split()
            self.got[carriage].add(int(number))
            self.endpoints[carriage].add(endpoint)

    def __enter__(self):
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]
        for thread in self.threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        time.sleep(0.5)
        self.ending.set()
        for thread in self.threads:
            thread.join()

    @property
    def lost(self):
        return {c: self.sent[c] - len(self.got[c]) for c in self.sent}


def assert_nothing_lost(stream):
    assert not any(stream.lost.values()), f"lost {stream.lost} of {stream.sent}"
    assert all(len(e) == 1 for e in stream.endpoints.values()), stream.endpoints


def has_pool(net, prefix):
    return any(prefix in row.values() for row in net.daemon.rows("pools"))


def test_traffic_without_reload_loses_nothing(net):
    """What the next tests are compared with."""
    with Stream(net) as stream:
        time.sleep(1)
    assert_nothing_lost(stream)


def test_hang_up_adds_a_pool_without_loss(net):
    with Stream(net) as stream:
        net.daemon.hang_up(net.text(with_extra_pool))
        net.lab.wait_until(lambda: has_pool(net, EXTRA_POOL), "the new pool is there")
    assert_nothing_lost(stream)


def test_ten_reloads_without_loss(net):
    with Stream(net) as stream:
        for i in range(10):
            done = net.daemon.reload(net.text(with_extra_pool if i % 2 else None))
            assert done.returncode == 0, done.stderr
    assert_nothing_lost(stream)


def test_mappings_of_a_removed_pool_live_on_while_it_drains(net):
    def other_pool(config):
        instance(config, "nat44")["external-ip-address-pool"] = [EXTRA_POOL]
    assert net.daemon.reload(net.text()).returncode == 0
    with Stream(net) as stream:
        done = net.daemon.reload(net.text(other_pool))
        assert done.returncode == 0, done.stderr
        listing = net.daemon.text("pools")
        assert "drain" in listing, listing
    assert_nothing_lost(stream)
    assert net.daemon.reload(net.text()).returncode == 0


def configured_pools(net):
    """Without those of earlier tests, which are draining and go when they are empty."""
    return [p["pool"] for p in net.daemon.rows("pools") if not p.get("draining")]


def refuse(net, change, *words):
    before = configured_pools(net)
    with Stream(net) as stream:
        done = net.daemon.reload(net.text(change))
    assert done.returncode != 0, done.stdout
    said = done.stdout + done.stderr
    for word in words:
        assert word in said, said
    assert_nothing_lost(stream)
    assert configured_pools(net) == before


def test_change_of_capacity_is_refused_and_nothing_applied(net):
    def change(config):
        with_extra_pool(config)
        config["capacity"]["mappings"] = 200_000
    refuse(net, change, "mappings", "200000")


def test_change_of_workers_is_refused(net):
    def change(config):
        config["workers"] += 1
    refuse(net, change, "workers")


def test_wrong_file_is_refused_with_its_place(net):
    def change(config):
        instance(config, "nat44")["port-set-size"] = 500
        config["no-such-key"] = 1
    refuse(net, change, "culvertd.yaml:", "no-such-key", "port-set-size")


@within(90)
@for_each_carriage
def test_iperf_goes_on_through_reloads(net, carriage, subscriber):
    running = net.lab.start(subscriber.namespace, f"iperf3-{carriage}",
                            ["iperf3", "-c", subscriber.dial(topology.SERVER), "-t", "3", "-i", "0"])
    for i in range(5):
        time.sleep(0.5)
        net.daemon.reload(net.text(with_extra_pool if i % 2 else None))
    net.lab.wait_until(lambda: not running.running(), "iperf3 ends", 30)
    assert running.popen.returncode == 0, running.output()
