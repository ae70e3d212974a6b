#include "log_tenures.h"

#include <fmt/format.h>

#include <ostream>
#include <string>
#include <vector>

#include "logging/entry_fields.h"
#include "net/mapped.h"
#include "table.h"
#include "typed_time.h"

namespace culvert::tools {
namespace {

using namespace logging::query;

std::string who(const Subscriber& s) {
  return s.length == 0 ? "unknown" : net::subscriber_text(s.prefix, s.length);
}
std::string host(const net::Ipv6Address& a, uint16_t port) {
  if (const auto ipv4 = net::mapped_ipv4(a)) return fmt::format("{}:{}", ipv4->text(), port);
  return fmt::format("[{}]:{}", a.text(), port);
}
std::string ports(const Holding& h) {
  return h.mapping ? fmt::format("{}/{}", h.first_port, logging::protocol_text(h.protocol))
                   : fmt::format("{}-{}", h.first_port, h.last_port);
}
const char* origin(logging::Entry::Origin o) {
  constexpr const char* kNames[] = {"dynamic", "static", "pcp-map", "pcp-peer"};
  return kNames[static_cast<size_t>(o) & 3];
}
/// How he came to have it.
std::string how(const Tenure& t) {
  if (!t.holding.mapping) return "block";
  return t.internal ? fmt::format("{} to {}", origin(t.origin), host(*t.internal, t.internal_port))
                    : origin(t.origin);
}
std::string until(const Tenure& t) {
  switch (t.end) {
    case Tenure::End::held:
      return "still held";
    case Tenure::End::ended:
      return utc_text(t.until.system);
    case Tenure::End::lost:
      break;
  }
  return fmt::format("{} .. {}", utc_text(t.seen.system), utc_text(t.until.system));
}
std::string reasons(const Tenure& t) {
  const auto name = [](logging::Reason r) { return r == logging::Reason::none ? "" : name_of(r); };
  const std::string_view begun = name(t.begun), ended = name(t.ended);
  return fmt::format("{}{}{}", begun, begun.empty() || ended.empty() ? "" : ", ", ended);
}

std::vector<std::string> cells(const Tenure& t) {
  return {who(t.subscriber),
          t.subscriber.instance,
          t.holding.external.text(),
          ports(t.holding),
          how(t),
          (t.since_known ? "" : "before ") + utc_text(t.since.system),
          until(t),
          reasons(t)};
}

std::vector<std::string> cells(const SessionSpan& s) {
  return {who(s.subscriber),
          s.internal ? host(*s.internal, s.internal_port) : "",
          fmt::format("{}:{}", s.holding.external.text(), ports(s.holding)),
          s.destination ? fmt::format("{}:{}", s.destination->text(), s.destination_port) : "",
          s.since ? utc_text(s.since->system) : "",
          s.until ? utc_text(s.until->system) : ""};
}

nlohmann::ordered_json holding_json(const Subscriber& s, const Holding& h) {
  nlohmann::ordered_json row{{"subscriber", who(s)}};
  if (!s.instance.empty()) {
    row["instance"] = s.instance;
    row["carriage"] = logging::name_of(s.carriage);
  }
  row["external"] = h.external.text();
  row["first_port"] = h.first_port;
  row["last_port"] = h.last_port;
  if (h.mapping) row["protocol"] = logging::protocol_text(h.protocol);
  return row;
}

nlohmann::ordered_json session_json(const SessionSpan& s) {
  nlohmann::ordered_json row{{"kind", "session"}};
  row.update(holding_json(s.subscriber, s.holding));
  if (s.internal) row["internal"] = host(*s.internal, s.internal_port);
  if (s.destination) row["destination"] = fmt::format("{}:{}", s.destination->text(), s.destination_port);
  if (s.since) row["since"] = utc_text(s.since->system);
  if (s.until) row["until"] = utc_text(s.until->system);
  return row;
}

std::string when(const Caveat& c) {
  const std::string from = c.from.event == 0 ? "" : utc_text(c.from.system);
  if (c.to.event == UINT64_MAX) return fmt::format("from {} on", from);
  return from.empty() ? fmt::format("up to {}", utc_text(c.to.system))
                      : fmt::format("{} to {}", from, utc_text(c.to.system));
}

nlohmann::ordered_json tenure_json(const Tenure& t) {
  nlohmann::ordered_json row{{"kind", t.holding.mapping ? "mapping" : "block"}};
  row.update(holding_json(t.subscriber, t.holding));
  if (t.holding.mapping) row["origin"] = origin(t.origin);
  if (t.internal) row["internal"] = host(*t.internal, t.internal_port);
  row["since"] = utc_text(t.since.system);
  if (!t.since_known) row["since_known"] = false;
  row["held"] = t.end == Tenure::End::held;
  if (t.end != Tenure::End::held) row["until"] = utc_text(t.until.system);
  if (t.end == Tenure::End::lost) row["until_earliest"] = utc_text(t.seen.system);
  if (t.begun != logging::Reason::none) row["begun"] = name_of(t.begun);
  if (t.ended != logging::Reason::none) row["ended"] = name_of(t.ended);
  if (t.peak != 0) row["peak_mappings"] = t.peak;
  return row;
}

}  // namespace

void print_finding(std::ostream& out, const Finding& finding) {
  if (!finding.tenures.empty()) {
    Table table(out,
                {{"SUBSCRIBER"}, {"INSTANCE"}, {"EXTERNAL"}, {"PORTS"}, {"HOW"}, {"FROM"}, {"TO"}, {"WHY"}});
    for (const Tenure& t : finding.tenures) table.add(cells(t));
    table.finish("");
  }
  if (!finding.sessions.empty()) {
    out << '\n';
    Table table(out, {{"SESSION OF"}, {"INTERNAL"}, {"EXTERNAL"}, {"DESTINATION"}, {"FROM"}, {"TO"}});
    for (const SessionSpan& s : finding.sessions) table.add(cells(s));
    table.finish("");
  }
  if (!finding.tenures.empty() || !finding.sessions.empty()) out << '\n';
  if (finding.no_such_time) {
    out << "The system's clock never showed that time: it was set forward over it.\n";
  } else if (finding.complete()) {
    out << (finding.tenures.empty() ? "Nobody. The record is complete there.\n"
                                    : "The record is complete there.\n");
  } else {
    out << (finding.tenures.empty() ? "Nobody is on record. " : "")
        << "The record may be INCOMPLETE there:\n";
    for (const Caveat& c : finding.caveats) out << fmt::format("  {}: {}\n", when(c), c.what);
  }
}

void print_json(std::ostream& out, const Finding& finding,
                const std::function<void(nlohmann::ordered_json&, const Tenure&)>& add) {
  for (const Tenure& t : finding.tenures) {
    nlohmann::ordered_json row = tenure_json(t);
    if (add) add(row, t);
    out << row.dump() << '\n';
  }
  for (const SessionSpan& s : finding.sessions) out << session_json(s).dump() << '\n';
  nlohmann::ordered_json end{{"end", true}, {"complete", finding.complete()}};
  end["no_such_time"] = finding.no_such_time;
  end["caveats"] = nlohmann::json::array();
  for (const Caveat& c : finding.caveats) {
    nlohmann::ordered_json caveat;
    if (c.from.event != 0) caveat["from"] = utc_text(c.from.system);
    if (c.to.event != UINT64_MAX) caveat["to"] = utc_text(c.to.system);
    caveat["what"] = c.what;
    end["caveats"].push_back(caveat);
  }
  out << end.dump() << '\n';
}

}  // namespace culvert::tools
