"""Start and stop: SIGTERM under traffic, restarts, and what a wrong file or place does."""

import os
import signal
import time

from support import topology

PORT = 7400


def test_terminate_under_traffic_exits_0_within_2_seconds(net):
    running = [net.lab.start(s.namespace, f"load-{name}",
                             ["ping", "-n", "-q", "-i", "0.005", s.dial(topology.SERVER)])
               for name, s in net.subscribers.items()]
    time.sleep(1)
    code, seconds = net.stop()
    for process in running:
        net.lab.stop(process)
    net.start()
    assert (code, seconds < 2) == (0, True), (code, seconds)


def test_interrupt_is_a_clean_stop_too(net):
    process = net.daemon.process
    process.signal(signal.SIGINT)
    code = process.popen.wait(5)
    net.stop()
    net.start()
    assert code == 0, code


def test_log_knows_every_port_after_the_end(net):
    """Promise 1 holds at the end too: what was given out is on record when the process is gone."""
    endpoints = [subscriber.whoami() for subscriber in net.subscribers.values()]
    net.stop()
    records = net.daemon.log_records()
    net.start()
    for address, port in endpoints:
        assert any(covers(record, address, port) for record in records), (address, port, records)


def covers(record, address, port):
    """Whether a record gives this port to somebody."""
    if " block-allocated " not in record:
        return False
    fields = dict(word.split("=", 1) for word in record.split() if "=" in word)
    first, last = fields["ports"].split("-")
    return fields["external"] == address and int(first) <= port <= int(last)


def test_ledger_has_start_and_end(net):
    net.restart()
    net.stop()
    kinds = [record.split()[1] for record in net.daemon.log_records()]
    net.start()
    assert "culvertd-started" in kinds and kinds[-1] == "culvertd-stopped", kinds


def test_restart_serves_again_at_once(net):
    for _ in range(3):
        net.restart()
        for subscriber in net.subscribers.values():
            subscriber.whoami()


def test_nothing_is_left_in_the_kernel(net):
    """The taps of the exception path go with the process."""
    net.stop()
    links = net.lab.run("appliance", ["ip", "-br", "link"]).stdout.split()
    net.start()
    assert "inside" not in links and "outside" not in links, links


def check(net, text):
    path = net.lab.directory / "to-check.yaml"
    path.write_text(text)
    return [net.lab.run("appliance", command, check=False)
            for command in ([net.daemon.daemon(), "--check", "--config", path],
                            [net.daemon.culvert, "config", "check", path])]


def test_check_accepts_the_demo_configuration(net):
    for result in check(net, net.text()):
        assert result.returncode == 0, result.stdout + result.stderr


def test_check_names_every_mistake_and_exits_2(net):
    text = "workers: none\ninterfaces: []\nno-such-key: 1\n"
    for result in check(net, text):
        said = result.stdout + result.stderr
        assert result.returncode == 2, (result.returncode, said)
        assert "to-check.yaml:1:" in said and "to-check.yaml:3:" in said, said


def test_device_that_does_not_exist_is_named(net):
    def change(config):
        config["interfaces"][0]["device"] = "net_af_packet0,iface=nowhere0"
    net.stop()
    try:
        net.daemon.write_config(net.text(change))
        result = net.lab.run("appliance", [net.daemon.daemon(), "--config", net.daemon.config], check=False)
        assert result.returncode not in (0, 2) and "nowhere0" in result.stdout + result.stderr, result
    finally:
        net.start()


def test_capacities_beyond_the_memory_are_an_error_at_once(net):
    """It says what takes how much, what is missing and what to do, and takes nothing before."""
    def change(config):
        config["capacity"] = {"subscribers": 1 << 24, "mappings": 1 << 28, "sessions": 1 << 28, "packet-buffers": 1 << 24}
        config["hold-down-max"] = 1 << 28
        for interface in config["interfaces"]:
            interface["mtu"] = 9600  # buffers are as large as packets: 192 GiB in all
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 190 << 30:
        return  # no capacity is too much for this machine
    net.stop()
    try:
        net.daemon.write_config(net.text(change))
        result = net.lab.run("appliance", [net.daemon.daemon(), "--config", net.daemon.config], check=False)
        said = result.stdout + result.stderr
        assert result.returncode == 1, (result.returncode, said)
        for words in ("not enough memory", "more are needed than there are", "mappings: 268435456 of ", "MemAvailable",
                      "lower capacity: packet-buffers", "packets lie in"):
            assert (words in said) == (words != "packets lie in"), (words, said)
        for checked in check(net, net.text(change)):  # only a warning: the file may be for another machine
            assert checked.returncode == 0 and "would not start on this machine" in checked.stderr, checked
    finally:
        net.start()


def test_version_and_help(net):
    for program in (net.daemon.daemon(), net.daemon.culvert):
        for option in ("--version", "--help"):
            result = net.lab.run("appliance", [program, option])
            assert "culvert" in result.stdout, (program, option)
