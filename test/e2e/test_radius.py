"""Who is that subscriber: packets of a NAS go to a real FreeRADIUS, its detail files into the index, and the index
says who had a prefix when. The NAS is radclient; the server's clock is Berlin's, as its Event-Timestamps are."""

import gzip
import json
import time

from support import LabError

ZONE = "TZ=Europe/Berlin"
RADDB = """
prefix = /usr
name = radius
logdir = @DIRECTORY@
run_dir = @DIRECTORY@
libdir = /usr/lib/freeradius
modconfdir = @DIRECTORY@
cleanup_delay = 0
log {
  destination = stdout
}
modules {
  expr {
  }
  detail {
    filename = @DIRECTORY@/radacct/%{NAS-IP-Address}/detail
    permissions = 0600
    header = "%t"
  }
}
policy {
  $INCLUDE /etc/freeradius/3.0/policy.d/accounting
}
client nas {
  ipaddr = 127.0.0.1
  secret = secret
}
server default {
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = 1813
  }
  preacct {
    acct_unique
  }
  accounting {
    detail
  }
}
"""


class Radius:
    """FreeRADIUS in a namespace of its own, a NAS, and an index of what they wrote."""

    def __init__(self, net):
        self.net = net
        self.directory = net.lab.directory / "radius"
        self.directory.mkdir()
        (self.directory / "radiusd.conf").write_text(RADDB.replace("@DIRECTORY@", str(self.directory)))
        net.lab.add_namespaces("radius")
        server = net.lab.start("radius", "freeradius", ["env", ZONE, "freeradius", "-f", "-l", "stdout", "-d", self.directory])
        net.lab.wait_until(lambda: not server.running() or "Ready to process requests" in server.output(100),
                           "FreeRADIUS is ready", 20)
        if not server.running():
            raise LabError(f"FreeRADIUS ended at once:\n{server.output()}")
        self.began = int(time.time()) - 36000
        self.index = self.directory / "radius.index"
        self.radacct = self.directory / "radacct"

    def detail(self, nas):
        return self.radacct / nas / "detail"

    def send(self, status, seconds, nas="192.0.2.1", count=1, **attributes):
        """A packet that tells of what happened so many seconds after `began`."""
        lines = {"Acct-Status-Type": status, "NAS-IP-Address": nas, "Event-Timestamp": self.began + seconds,
                 "Acct-Delay-Time": int(time.time()) - self.began - seconds}
        lines |= {name.replace("_", "-"): value for name, value in attributes.items()}
        text = ""
        for name, value in lines.items():
            for one in value if isinstance(value, list) else [value]:
                text += f"{name} += {one}\n"
        self.net.lab.run("radius", ["radclient", "-q", "-c", count, "127.0.0.1:1813", "acct", "secret"], stdin=text)

    def session(self, number, user, nas="192.0.2.1", **attributes):
        """What all packets of a session have."""
        return {"nas": nas, "Acct_Session_Id": f'"{number}"', "User_Name": f'"{user}"', "Calling_Station_Id": f'"line of {user}"',
                "ADSL_Agent_Circuit_Id": f'"olt1 eth 0/1/2:{number}"', **attributes}

    def culvert(self, *arguments, check=True):
        return self.net.lab.run("radius", ["env", ZONE, self.net.daemon.culvert, "log", "radius", *arguments], check=check)

    def take_in(self, *paths):
        return json.loads(self.culvert("import", *(paths or (self.radacct,)), "--index", self.index, "--json").stdout)

    def time_text(self, seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + seconds))

    def find(self, *arguments, at=None):
        """(user, whether for certain, how its end is known) of all who may have had it."""
        when = [] if at is None else ["--at", self.time_text(at)]
        result = self.culvert("find", *arguments, *when, "--index", self.index, "--json", check=False)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert (result.returncode == 0) == bool(rows), result.stdout + result.stderr
        return rows

    def who(self, *arguments, at=None):
        return [(row["user_name"], row["certain"], row["ended"]["by"]) for row in self.find(*arguments, at=at)]


def radius_of(net):
    if not hasattr(net, "radius"):
        net.radius = Radius(net)
    return net.radius


def test_session_with_start_interim_update_and_stop_is_found_by_all_it_had(net):
    r = radius_of(net)
    alice = r.session(1, "alice@isp.example", Framed_IP_Address="100.64.0.1", Framed_IPv6_Prefix="2001:db8:0:1::/64",
                      Delegated_IPv6_Prefix=["2001:db8:100::/56", "2001:db8:200::/56"], Framed_IPv6_Address="2001:db8:f::1")
    r.send("Start", 0, **alice)
    r.send("Interim-Update", 600, **alice, Acct_Session_Time=600)
    r.send("Stop", 1200, **alice, Acct_Session_Time=1200)
    report = r.take_in()
    assert (report["records"], report["sessions"], report["wrong"], report["unknown_zone"]) == (3, 1, 0, 0), report
    for prefix in ("100.64.0.1", "100.64.0.0/24", "2001:db8:0:1::/64", "2001:db8:0:1::5", "2001:db8:100::/56",
                   "2001:db8:200::/60", "2001:db8:f::1"):
        assert r.who(prefix, at=700) == [("alice@isp.example", True, "stop")], prefix
    assert r.who("--user-name", "alice@isp.example") == r.who("--calling-station-id", "line of alice@isp.example") != []
    for prefix, at in (("100.64.0.2", 700), ("2001:db8:300::/56", 700), ("100.64.0.1", 1300)):
        assert r.who(prefix, at=at) == [], (prefix, at)
    row, = r.find("2001:db8:100::/56", at=700)
    assert row["circuit_id"] == "olt1 eth 0/1/2:1" and row["nas"] == "192.0.2.1" and row["session_id"] == "1", row
    # The server's clock is this machine's, and so is radclient's: they agree to a second or two.
    assert row["began"]["by"] == "start" and r.time_text(0)[:17] in (row["began"]["earliest"][:17], row["began"]["latest"][:17])


def test_two_that_had_an_address_at_once_are_both_named(net):
    r = radius_of(net)
    here = r.session(2, "bob", Framed_IP_Address="100.64.1.1")
    there = r.session(2, "carol", nas="192.0.2.2", Framed_IP_Address="100.64.1.1")
    r.send("Start", 0, **here)
    r.send("Start", 500, **there)
    r.send("Stop", 1000, **here, Acct_Session_Time=1000)
    r.send("Stop", 1500, **there, Acct_Session_Time=1000)
    r.take_in()
    assert r.who("100.64.1.1", at=300) == [("bob", True, "stop")]
    assert r.who("100.64.1.1", at=700) == [("bob", True, "stop"), ("carol", True, "stop")]
    assert r.who("100.64.1.1", at=1300) == [("carol", True, "stop")]


def test_session_without_a_stop_goes_on_until_the_records_say_otherwise(net):
    r = radius_of(net)
    prefix = "2001:db8:400::/56"
    dave = r.session(3, "dave", nas="192.0.2.3", Delegated_IPv6_Prefix=prefix)
    r.send("Start", 0, **dave)
    r.send("Interim-Update", 600, **dave, Acct_Session_Time=600)
    r.take_in()
    assert r.who(prefix, at=300) == [("dave", True, "unknown")]
    assert r.who(prefix, at=1500) == [("dave", False, "unknown")]
    # The prefix is given to another.
    r.send("Start", 2000, **r.session(4, "erin", nas="192.0.2.3", Delegated_IPv6_Prefix=prefix))
    r.take_in()
    assert r.who(prefix, at=1500) == [("dave", False, "superseded")]
    assert r.who(prefix, at=2500) == [("erin", False, "unknown")]
    # The NAS starts anew, and then the first packet of all comes in late.
    r.send("Accounting-On", 3000, nas="192.0.2.3")
    r.take_in()
    assert r.who(prefix, at=2500) == [("erin", False, "accounting-on")]
    assert r.who(prefix, at=3500) == []
    r.send("Stop", 1000, **dave, Acct_Session_Time=1000)
    r.take_in()
    assert r.who(prefix, at=900) == [("dave", True, "stop")]
    assert r.who(prefix, at=1500) == []


def test_lost_start_is_made_up_for_by_the_session_time(net):
    r = radius_of(net)
    frank = r.session(5, "frank", Framed_IP_Address="100.64.2.1")
    r.send("Interim-Update", 900, **frank, Acct_Session_Time=900)
    r.take_in()
    assert [row["began"]["by"] for row in r.find("100.64.2.1", at=100)] == ["session-time"]


def test_packets_sent_again_change_nothing(net):
    r = radius_of(net)
    grace = r.session(6, "grace", Framed_IP_Address="100.64.3.1")
    r.send("Start", 0, count=3, **grace)
    r.send("Stop", 600, count=2, **grace)
    before = r.take_in()
    r.send("Start", 0, **grace)
    assert r.take_in()["sessions"] == before["sessions"]
    assert r.who("100.64.3.1", at=300) == [("grace", True, "stop")]


def test_rotated_and_compressed_files_are_not_read_again(net):
    r = radius_of(net)
    r.take_in()
    assert r.take_in()["records"] == 0
    detail = r.detail("192.0.2.1")
    rotated = detail.with_name("detail.1")
    detail.rename(rotated)
    r.send("Start", 0, **r.session(7, "heidi", Framed_IP_Address="100.64.4.1"))
    assert r.take_in()["records"] == 1
    rotated.with_name("detail.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    assert r.take_in()["records"] == 0
    assert r.who("100.64.0.1", at=700) == [("alice@isp.example", True, "stop")]
    assert r.who("100.64.4.1") == [("heidi", False, "unknown")]


def test_detail_files_answer_without_an_index(net):
    r = radius_of(net)
    result = r.culvert("find", "100.64.1.1", "--index", r.radacct)
    assert result.stdout.splitlines()[0].split()[:2] == ["PREFIX", "USER"] and "carol" in result.stdout, result.stdout


def test_ended_sessions_are_forgotten_when_told_so(net):
    r = radius_of(net)
    index = r.directory / "short.index"
    report = json.loads(r.culvert("import", r.radacct, "--index", index, "--forget-before", r.time_text(1100),
                                  "--json").stdout)
    assert report["forgotten"] > 0, report
    gone = r.culvert("find", "100.64.3.1", "--index", index, check=False)
    assert gone.returncode == 1 and "no such session" in gone.stderr, gone
    assert "alice" in r.culvert("find", "100.64.0.1", "--index", index).stdout


def test_server_in_another_time_zone_is_told_and_costs_no_hour(net):
    r = radius_of(net)
    index = r.directory / "zone.index"
    result = net.lab.run("radius", ["env", "TZ=UTC", net.daemon.culvert, "log", "radius", "import", r.radacct, "--index", index])
    assert "Event-Timestamp cannot be read" in result.stderr and "TZ=Europe/Berlin" in result.stderr, result.stderr
    found = r.culvert("find", "100.64.0.1", "--at", r.time_text(700), "--index", index, "--json").stdout
    assert json.loads(found)["user_name"] == "alice@isp.example", found


def test_wrong_use_is_explained(net):
    r = radius_of(net)
    for arguments, code, words in ((["find", "100.64.0.1/8"], 2, "is no prefix"), (["import"], 2, "needs a PATH"), ([], 2, "import"),
                                   (["find", "::1", "--at", "noon"], 2, "noon: "), (["frobnicate"], 2, "there is import"),
                                   (["import", "/nowhere", "--index", r.index], 1, "/nowhere: cannot be opened"),
                                   (["find", "::1", "--index", r.directory / "radiusd.conf"], 1, "radiusd.conf")):
        result = r.culvert(*arguments, check=False)
        assert result.returncode == code and words in result.stderr, (arguments, result)
    for command in ([], ["import"], ["find"]):
        assert "Example" in r.culvert(*command, "--help").stdout, command
