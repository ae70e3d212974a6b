/// A line of the operator's own making: text with {NAME} where a field of the entry is to stand, by the names
/// of entry_fields.h:
///
///     {time} {event} {subscriber} -> {external}:{first-port}-{last-port}
///
/// {{ and }} are single braces. A field that an entry does not have is told as "-".
///
/// A value; any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "logging/entry_fields.h"

namespace culvert::logging {

class MessageTemplate {
 public:
  /// A template has so many bytes at most; a message that does not fit its datagram is cut off
  /// (docs/exports.md).
  static constexpr size_t kMaxBytes = 1024;

  /// The template, or what is wrong with the text.
  static std::variant<MessageTemplate, std::string> parse(std::string_view text);

  void append(std::string& out, const Entry& e) const;

 private:
  struct Part {
    std::string text;
    const EntryField* field = nullptr;  ///< follows the text; nullptr at the end
  };
  std::vector<Part> parts_;
};

}  // namespace culvert::logging
