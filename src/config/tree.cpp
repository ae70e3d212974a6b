#include "config/tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <sstream>

namespace culvert::config {
namespace {

Place place_of(const YAML::Mark& mark) {
  return mark.is_null() ? Place{1, 1} : Place{mark.line + 1, mark.column + 1};
}

/// Leaves yaml-cpp's parser from within an event. Not a std::exception, so that nothing else takes it for its
/// own.
struct Stop {
  Place place;
  Complaint complaint;
};

/// Builds the tree from yaml-cpp's events. The stack holds the lists and maps not yet closed.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(Report& report) : report_(report) {}

  Node take_root() { return std::move(root_); }
  Place document_place() const { return document_; }

  void OnDocumentStart(const YAML::Mark& mark) override { document_ = place_of(mark); }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    attach(Node{Node::Kind::null, false, place_of(mark), {}, {}, {}});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    report_.add(place_of(mark),
                {"an alias (*name) stands for a value",
                 "a configuration says each value where it counts, so that every message can point at it",
                 "write the value out"});
    attach(Node{Node::Kind::null, false, place_of(mark), {}, {}, {}});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    attach(Node{Node::Kind::scalar, tag == "!", place_of(mark), value, {}, {}});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    bool has_key = false;  // map: the next value belongs to `key`
    bool drop = false;     // map: … which was no key, so the value goes nowhere
    std::string key;
    Place key_place;
  };

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    report_.add(place_of(mark),
                {"an anchor (&name) marks a value", "a configuration has no aliases, so an anchor has no use",
                 "remove the anchor"});
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "!" || tag == "?") return;
    report_.add(place_of(mark), {fmt::format("the tag {} stands before a value", quoted(tag)),
                                 "the key alone says what type its value has", "remove the tag"});
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (stack_.size() >= TreeLimits::depth)
      throw Stop{place_of(mark),
                 {fmt::format("values are nested more than {} deep", TreeLimits::depth),
                  "a configuration needs five levels; more is refused before it can fill the memory",
                  "check brackets and indentation"}};
    count(place_of(mark));
    stack_.push_back(Open{Node{kind, false, place_of(mark), {}, {}, {}}, false, false, {}, {}});
  }

  void close() {
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    attach(std::move(node));
  }

  void attach(Node&& node) {
    count(node.place);
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == Node::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      parent.has_key = true;
      parent.drop = node.kind != Node::Kind::scalar;
      parent.key_place = node.place;
      if (parent.drop)
        report_.add(node.place,
                    {"a key is empty, a list or a mapping", "keys are words",
                     "write key: value, and quote a value that ends with a colon (\"2001:db8::\")"});
      parent.key = std::move(node.text);
    } else {
      parent.has_key = false;
      if (!parent.drop)
        parent.node.entries.push_back(Entry{std::move(parent.key), parent.key_place, std::move(node)});
    }
  }

  void count(Place place) {
    if (++values_ > TreeLimits::values)
      throw Stop{place,
                 {fmt::format("the file has more than {} values", TreeLimits::values),
                  "memory for a configuration is bounded", "use prefixes instead of single addresses"}};
  }

  Report& report_;
  std::vector<Open> stack_;
  Node root_;
  Place document_{1, 1};
  size_t values_ = 0;
};

/// yaml-cpp's complaint in our words. A tab in the indentation is the mistake that its own words hide best.
Complaint syntax_error(std::string_view yaml, Place place, const std::string& message) {
  for (int line = 1; line < place.line && !yaml.empty(); line++) {
    auto end = yaml.find('\n');
    yaml = end == std::string_view::npos ? std::string_view() : yaml.substr(end + 1);
  }
  auto indentation = yaml.substr(0, yaml.find_first_not_of(" \t"));
  if (indentation.find('\t') != std::string_view::npos)
    return {"a tab in the indentation",
            "YAML indents with spaces only, and nothing after this place can be read",
            "replace the tab by spaces"};
  return {fmt::format("not valid YAML: {}", printable(message, 200)), "nothing after this place can be read",
          "check indentation, quotes and brackets here and just before, and quote a value that ends with a "
          "colon"};
}

std::optional<Node> parse_bounded(std::string_view yaml, Report& report) {
  std::istringstream stream{std::string(yaml)};
  YAML::Parser parser(stream);
  Builder builder(report);
  if (!parser.HandleNextDocument(builder)) return Node{};
  Node root = builder.take_root();
  Builder second(report);
  if (parser.HandleNextDocument(second)) {
    report.add(second.document_place(), {"a second document begins (---)",
                                         "a configuration is one document, and only the first would count",
                                         "remove the --- or what follows it"});
  }
  return root;
}

}  // namespace

std::optional<Node> parse_tree(std::string_view yaml, Report& report) {
  if (yaml.size() > TreeLimits::bytes) {
    report.add({1, 1}, {fmt::format("the file has {} bytes", yaml.size()),
                        fmt::format("a configuration has at most {}", TreeLimits::bytes),
                        "check that this is the right file"});
    return std::nullopt;
  }
  try {
    return parse_bounded(yaml, report);
  } catch (const Stop& stop) {
    report.add(stop.place, stop.complaint);
  } catch (const YAML::Exception& error) {
    Place place = place_of(error.mark);
    report.add(place, syntax_error(yaml, place, error.msg));
  } catch (const std::exception& error) {
    report.add({1, 1}, {fmt::format("the YAML parser failed: {}", printable(error.what(), 200)),
                        "nothing can be read", "check that this is a text file in UTF-8"});
  }
  return std::nullopt;
}

}  // namespace culvert::config
