"""What an operator sees: listings, filters, clearing, metrics; they agree with one another."""

from support import POOL_OF, for_each_carriage, in_pool, topology

LISTINGS = ("status", "interfaces", "pools", "subscribers", "mappings", "blocks", "drops", "workers")


def test_every_listing_has_text_and_json(net):
    for subscriber in net.subscribers.values():
        subscriber.whoami()
    for listing in LISTINGS:
        assert net.daemon.text(listing).strip(), listing
        assert isinstance(net.daemon.rows(listing), list), listing
    assert len(net.daemon.rows("workers")) == net.workers
    assert len(net.daemon.rows("interfaces")) == 2


@for_each_carriage
def test_mapping_is_found_by_its_external_endpoint(net, carriage, subscriber):
    """The question that a complaint brings: who was 203.0.113.5:4711?"""
    address, port = subscriber.whoami()
    rows = net.mappings_of(address, port)
    assert len(rows) == 1, rows
    values = [str(v) for v in rows[0].values()]
    assert any(subscriber.address in v for v in values), rows


def test_mappings_of_one_subscriber(net):
    for subscriber in net.subscribers.values():
        subscriber.whoami()
    rows = net.daemon.rows("mappings", "--subscriber", topology.V4SUB)
    assert rows and all(topology.V4SUB in str(row) for row in rows), rows


@for_each_carriage
def test_every_mapping_lies_in_a_block_on_record(net, carriage, subscriber):
    """Promise 1: a subscriber is never given a port that the log does not know."""
    address, port = subscriber.whoami()
    assert in_pool(address, POOL_OF[carriage])
    net.lab.wait_until(lambda: [r for r in net.daemon.log_records() if address in r], "the record is written", 2)
    assert any(address in str(row) for row in net.daemon.rows("blocks"))


def test_clear_subscriber_takes_his_mappings(net):
    first = net.v4sub.whoami()
    done = net.daemon.ask("clear", "subscriber", topology.V4SUB, check=False)
    assert done.returncode == 0, done.stderr
    assert net.mappings_of(*first) == []
    net.v4sub.whoami()


def test_metrics_agree_with_the_listings(net):
    for subscriber in net.subscribers.values():
        subscriber.whoami()
    metrics = net.daemon.metrics()
    names = {name.partition("{")[0] for name in metrics}
    assert all(name.startswith(("culvert_", "exposer_", "process_")) for name in names), sorted(names)
    assert any("packets" in name for name in names) and any("drop" in name for name in names), sorted(names)
    in_use = sum(v for name, v in metrics.items() if name.startswith("culvert_mappings{") or name == "culvert_mappings")
    assert in_use == len(net.daemon.rows("mappings")), in_use


def test_question_without_a_daemon_says_so(net):
    result = net.lab.run("appliance", [net.daemon.culvert, "--socket", net.lab.directory / "no-such.sock", "status"],
                         check=False)
    assert result.returncode == 1 and "no-such.sock" in result.stderr, result
