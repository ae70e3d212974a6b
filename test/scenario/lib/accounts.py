"""Every packet is accounted for: in + made by the box + cut = out + dropped + waiting + merged by reassembly."""


def add_up(result):
    """Complaints when the counters of a run do not come to what went in and came out. What went in and came out is
    counted by the captures, not by the box."""
    s = result.stats
    plus = {"arrived": result.arrived, "icmp-errors-sent": s.get("icmp-errors-sent", 0),
            "fragments-cut": s.get("fragments-cut", 0)}
    minus = {"came out": sum(map(len, result.outputs.values())), "to-kernel": s.get("to-kernel", 0),
             "oversized": s.get("oversized", 0), "dropped": sum(s.get("drops", {}).values()),
             "fragments-held": s.get("fragments-held", 0), "fragments-merged": s.get("fragments-merged", 0)}
    if sum(plus.values()) == sum(minus.values()):
        return []
    return [f"the counters do not add up: {_sum(plus)} is not {_sum(minus)}"]


def _sum(terms):
    return " + ".join(f"{n} {name}" for name, n in terms.items() if n or name in ("arrived", "came out"))
