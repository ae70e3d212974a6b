#include "report.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

namespace culvert::bench {
namespace {

using nlohmann::json;

const char* name_of(Task task) {
  return task == Task::trial ? "trial" : task == Task::search ? "search" : "connections";
}

std::string sizes_text(const Profile& p) {
  return p.frame_sizes.size() == 1 ? fmt::format("{}", p.frame_sizes[0]) : "imix";
}

json json_of(const Score& s, double hz) {
  const auto us = [hz](double units) { return microseconds(units, hz); };
  return {{"offered", s.offered()},
          {"sent", s.sent},
          {"refused", s.refused},
          {"missed", s.missed},
          {"received", s.received},
          {"lost", s.lost()},
          {"reordered", s.reordered},
          {"strayed", s.strayed},
          {"corrupt", s.corrupt},
          {"latency_us",
           {{"min", us(s.latency.min())},
            {"mean", us(s.latency.mean())},
            {"p50", us(s.latency.quantile(0.5))},
            {"p99", us(s.latency.quantile(0.99))},
            {"max", us(s.latency.max())}}}};
}

json json_of(const Passed& p) {
  return {{"inside_sent", p.inside_sent},
          {"inside_received", p.inside_received},
          {"outside_sent", p.outside_sent},
          {"outside_received", p.outside_received},
          {"late", p.late},
          {"inside_foreign", p.inside_foreign},
          {"outside_foreign", p.outside_foreign}};
}

json json_of(const Trial& t, double hz) {
  return {{"rate", t.rate},
          {"passed", t.passed},
          {"seconds", t.outcome.seconds},
          {"outbound", json_of(t.outcome.outbound, hz)},
          {"inbound", json_of(t.outcome.inbound, hz)},
          {"devices", json_of(t.outcome.passed)}};
}

json json_of(const std::vector<Trial>& trials, double hz) {
  json all = json::array();
  for (const Trial& t : trials) all.push_back(json_of(t, hz));
  return all;
}

std::string row_of(Direction d, const Trial& t, double hz) {
  const Score& s = t.outcome.of(d);
  const auto us = [hz](double units) { return fmt::format("{:.1f}", microseconds(units, hz)); };
  return fmt::format("  {:<9}{:>12}{:>12}{:>10}{:>10}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}\n", name_of(d),
                     s.offered(), s.received, s.lost(), s.reordered, s.wrong(), us(s.latency.min()),
                     us(s.latency.mean()), us(s.latency.quantile(0.5)), us(s.latency.quantile(0.99)),
                     us(s.latency.max()));
}

const Trial* shown(const Results& r) {
  if (r.options.task == Task::trial) return r.trials.empty() ? nullptr : &r.trials.back();
  for (const Trial& t : r.trials) {
    if (t.passed && t.rate == r.best) return &t;
  }
  return nullptr;
}

}  // namespace

double microseconds(double stamp_units, double ticks_per_second) {
  return stamp_units * (1u << kStampShift) / ticks_per_second * 1e6;
}

std::string rate_text(double rate) {
  if (rate >= 1e6) return fmt::format("{:.2f} M", rate / 1e6);
  if (rate >= 1e3) return fmt::format("{:.1f} k", rate / 1e3);
  return fmt::format("{:.0f} ", rate);
}

std::string line_of(const Trial& t) {
  std::string text = fmt::format("{:>9}/s  {}", rate_text(t.rate), t.passed ? "passed" : "failed");
  for (Direction d : kDirections) {
    const Score& s = t.outcome.of(d);
    if (s.offered() == 0) continue;
    text += fmt::format("   {}: {} in, {} lost", name_of(d), s.offered(), s.lost());
    if (s.missed != 0) text += fmt::format(", {} not offered in time", s.missed);
    if (s.wrong() != 0) text += fmt::format(", {} WRONG", s.wrong());
  }
  return text;
}

std::string table_of(const Results& r) {
  const Profile& p = r.options.profile;
  std::string text = fmt::format("{}, {}, {} mappings ({} subscribers × {} ports), frames of {} bytes\n",
                                 name_of(p.carriage), p.protocol == Protocol::udp ? "UDP" : "TCP", r.mappings,
                                 p.subscribers, p.ports, sizes_text(p));
  if (const Trial* t = shown(r)) {
    text +=
        fmt::format("{} packets/s in each direction for {:.1f} s\n", rate_text(t->rate), t->outcome.seconds);
    text += fmt::format("  {:<9}{:>12}{:>12}{:>10}{:>10}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}\n", "", "in", "out",
                        "lost", "reordered", "wrong", "min µs", "mean", "p50", "p99", "max");
    for (Direction d : kDirections) {
      if (t->outcome.of(d).offered() != 0) text += row_of(d, *t, r.ticks_per_second);
    }
    for (Direction d : kDirections) {
      const Score& s = t->outcome.of(d);
      if (s.refused != 0)
        text += fmt::format("  {}: {} of the lost found the device's queue full\n", name_of(d), s.refused);
      if (s.missed != 0) {
        text += fmt::format(
            "  {}: {} more were not offered: the generator came late (its core is not its own?)\n",
            name_of(d), s.missed);
      }
    }
  }
  if (r.options.task == Task::trial) return text;
  const char* what = r.options.task == Task::search ? "packets/s in each direction" : "new mappings/s";
  if (r.best == 0) {
    return text + fmt::format("No rate passed: even {} {} lost packets.\n",
                              rate_text(r.trials.empty() ? r.options.rate : r.trials.back().rate), what);
  }
  text += fmt::format("Highest rate {}: {} {}",
                      r.options.tolerance == 0 ? "without loss" : "within the tolerance", rate_text(r.best),
                      what);
  if (r.limit == "generator") text += " (limited by the generator, which was too slow beyond)";
  if (r.limit == "most") text += " (the most that was asked for)";
  if (r.limit == "trials") text += " (all trials are used up: more of them, or a better first --rate)";
  return text + "\n";
}

void write_json(const Results& r, const std::string& file) {
  const Options& o = r.options;
  const double hz = r.ticks_per_second;
  const json all = {{"task", name_of(o.task)},
                    {"carriage", name_of(o.profile.carriage)},
                    {"protocol", o.profile.protocol == Protocol::udp ? "udp" : "tcp"},
                    {"subscribers", o.profile.subscribers},
                    {"ports", o.profile.ports},
                    {"frame_size", sizes_text(o.profile)},
                    {"seconds", o.seconds},
                    {"tolerance", o.tolerance},
                    {"verified_every", o.verify_every},
                    {"mappings", r.mappings},
                    {"setup", json_of(r.setup, hz)},
                    {"trials", json_of(r.trials, hz)},
                    {"best", r.best},
                    {"limit", r.limit},
                    {"devices", json_of(r.passed)}};
  const std::string text = all.dump(2) + "\n";
  if (file == "-") {
    std::cout << text << std::flush;
    if (!std::cout) throw std::runtime_error("standard output cannot be written");
    return;
  }
  std::ofstream out(file);
  out << text;
  out.close();
  if (!out)
    throw std::runtime_error(
        fmt::format("{} cannot be written; is the directory there, the disk full?", file));
}

}  // namespace culvert::bench
