/// `culvert log show`: a ledger, entry by entry.

#include <fmt/format.h>

#include <charconv>
#include <deque>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "arguments.h"
#include "log_commands.h"
#include "log_format.h"
#include "log_options.h"
#include "logging/entry_fields.h"
#include "logging/entry_text.h"
#include "logging/export/junos_text.h"
#include "logging/export/message_template.h"
#include "logging/ledger/archive_reader.h"
#include "logging/query/subject.h"
#include "net/mapped.h"
#include "progress.h"

namespace culvert::tools {
namespace {

using namespace std::chrono_literals;
using logging::Entry;

constexpr std::string_view kHelp = R"(what is on record, line by line, the oldest first

  culvert log show [--from TIME] [--to TIME] [--tz ZONE] [--follow]
                   [--format text|json|csv|junos|junos-short | --template TEXT]
                   [--subscriber ADDR|PREFIX] [--external ADDR[:PORT]] [--kind KIND,...]

A line of text has the time (UTC), what happened, and NAME=VALUE for each thing that is known of it. TIME is as in
`culvert log who`. The ledger may be in use, or a copy. Only segments of those times are read, but those whole: whose a
port was, and what somebody had, `culvert log who` and `culvert log subscriber` know at once.

--follow goes on with what comes, as tail -f, and begins with the last ten lines unless --from is given.

What cannot be read is told on standard error, and then the exit code is 1; so it is when there is nothing to show.

Examples:

  culvert log show --from yesterday --to yesterday --kind mapping-created,mapping-deleted
  culvert log show --follow --external 203.0.113.7
  culvert log show --from -1h --format csv > last-hour.csv
)";

/// Which entries are wanted.
class Filter {
 public:
  explicit Filter(const po::variables_map& given) {
    if (given.contains("subscriber")) {
      const auto& text = given["subscriber"].as<std::string>();
      subscriber_ = net::parse_subscriber(text);
      if (!subscriber_) throw UsageError(text + ": is no address or prefix; a prefix' other bits are zero");
    }
    if (given.contains("external")) take_external(given["external"].as<std::string>());
    if (given.contains("kind")) take_kinds(given["kind"].as<std::string>());
  }

  bool wants(const Entry& e) const {
    if (!kinds_.empty() && !kinds_.contains(logging::name_of(e.kind))) return false;
    if (subscriber_ && (!has_subscriber(e.kind) ||
                        !logging::query::concerns(*subscriber_, e.subscriber, e.subscriber_length)))
      return false;
    if (!address_) return true;
    return has_ports(e.kind) && e.external == *address_ &&
           (!port_ || (e.first_port <= *port_ && *port_ <= e.last_port));
  }

 private:
  static bool has_subscriber(Entry::Kind k) { return has_ports(k) || k == Entry::Kind::refused; }
  static bool has_ports(Entry::Kind k) { return k <= Entry::Kind::session_deleted; }

  void take_external(const std::string& text) {
    const size_t colon = text.find(':');
    address_ = net::Ipv4Address::parse(std::string_view(text).substr(0, colon));
    if (colon != std::string::npos) {
      uint16_t port = 0;
      const char* end = text.data() + text.size();
      const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
      if (error != std::errc() || rest != end) address_.reset();
      port_ = port;
    }
    if (!address_) throw UsageError(text + ": is no address, or address and port, like 203.0.113.5:4711");
  }
  void take_kinds(std::string_view list) {
    std::string known;
    while (!list.empty()) {
      const std::string_view word = list.substr(0, list.find(','));
      list.remove_prefix(std::min(list.size(), word.size() + 1));
      known.clear();
      for (auto k = Entry::Kind::block_allocated; k <= Entry::Kind::uncertain;
           k = static_cast<Entry::Kind>(static_cast<uint8_t>(k) + 1)) {
        const std::string_view name = logging::name_of(k);
        if (name == word) kinds_.insert(name);
        (known += known.empty() ? "" : ", ") += name;
      }
      if (!kinds_.contains(word))
        throw UsageError(fmt::format("{}: no such kind; there are {}", word, known));
    }
  }

  std::optional<net::Ipv6Prefix> subscriber_;
  std::optional<net::Ipv4Address> address_;
  std::optional<uint16_t> port_;
  std::set<std::string_view> kinds_;
};

using Format = std::function<std::string(const Entry&)>;

/// A format that appends.
template <typename Append>
Format appending(const Append& append) {
  return [append](const Entry& e) {
    std::string line;
    append(line, e);
    return line;
  };
}

Format format_of(const po::variables_map& given) {
  if (given.contains("template")) {
    if (given.contains("format") || given.contains("json"))
      throw UsageError("a template is a format of its own: leave --format or --template out");
    auto parsed = logging::MessageTemplate::parse(given["template"].as<std::string>());
    if (const auto* wrong = std::get_if<std::string>(&parsed)) throw UsageError("the template " + *wrong);
    return appending([t = std::get<logging::MessageTemplate>(parsed)](std::string& out, const Entry& e) {
      t.append(out, e);
    });
  }
  const std::string name = given.contains("format") ? given["format"].as<std::string>()
                           : given.contains("json") ? "json"
                                                    : "text";
  if (name == "json") return entry_json;
  if (name == "csv") return entry_csv;
  if (name == "text") return logging::text_of;
  if (name == "junos") return appending(logging::append_junos);
  if (name == "junos-short") return appending(logging::append_junos_short);
  throw UsageError(name + ": a format is text, json, csv, junos or junos-short");
}

int show(const po::variables_map& given) {
  const Filter filter(given);
  const Format format = format_of(given);
  const bool follow = given.contains("follow");
  logging::ledger::ArchiveReader reader(ledger_directory(given));
  reader.only(window_between(given));
  // With --follow, lines before the first pause are kept back: of those the last ten are shown.
  constexpr size_t kTail = 10;
  const bool tail = follow && !given.contains("from");
  if (tail)
    reader.seek_last();
  else
    reader.seek(0);
  Progress progress("reading", follow ? 0 : reader.total());
  bool whole = true;
  reader.on_trouble = [&](const std::string& what) {
    whole = false;
    progress.hide();
    std::cerr << "culvert log show: " << what << '\n';
  };
  if (given.contains("format") && given["format"].as<std::string>() == "csv")
    std::cout << csv_header() << '\n';
  std::deque<std::string> last;
  uint64_t entries = 0, shown = 0;
  Entry e;
  for (bool first = true;; first = false) {
    while (reader.next(e)) {
      if (entries++ % 4096 == 0) progress.at(reader.read());
      if (!filter.wants(e)) continue;
      shown++;
      if (!tail || !first) {
        std::cout << format(e) << '\n';
        continue;
      }
      last.push_back(format(e));
      if (last.size() > kTail) last.pop_front();
    }
    for (const std::string& line : last) std::cout << line << '\n';
    last.clear();
    if (!std::cout.flush()) throw std::runtime_error("standard output cannot be written");
    if (!follow) return whole && shown != 0 ? 0 : 1;
    std::this_thread::sleep_for(200ms);
  }
}

}  // namespace

int run_log_show(int argc, char** argv) {
  CommandLine line{"log show", kHelp};
  line.options.add_options()  //
      ("from", po::value<std::string>()->value_name("TIME"), "from then on")(
          "to", po::value<std::string>()->value_name("TIME"), "up to then, included")(
          "format", po::value<std::string>()->value_name("NAME"),
          "text, json (one object a line), csv, junos or junos-short (docs/exports.md)")(
          "template", po::value<std::string>()->value_name("TEXT"),
          "lines of your own, as \"{time} {event} {subscriber} {external}:{ports}\"")(
          "follow,f", "go on with what comes, as tail -f")(
          "subscriber", po::value<std::string>()->value_name("ADDR|PREFIX"),
          "only of this subscriber, or of all in this prefix")(
          "external", po::value<std::string>()->value_name("ADDR[:PORT]"),
          "only of this public address, or port")("kind", po::value<std::string>()->value_name("KIND,..."),
                                                  "only these, as block-allocated,block-released");
  add_zone_option(line.options);
  add_ledger_options(line.options);
  return run_command(line, argc, argv, show);
}

}  // namespace culvert::tools
