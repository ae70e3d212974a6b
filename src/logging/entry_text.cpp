#include "logging/entry_text.h"

#include "logging/entry_fields.h"

namespace culvert::logging {

void append_text(std::string& out, const Entry& e) {
  append_time(out, e.system_time());
  out += ' ';
  out += name_of(e.kind);
  for (const EntryField& field : entry_fields()) {
    if (!field.in_line) continue;
    const size_t before = out.size();
    ((out += ' ') += field.name) += '=';
    const size_t value = out.size();
    if (!field.append(out, e)) {
      out.resize(before);
    } else if (out.find(' ', value) != std::string::npos) {
      (out += '"').insert(value, 1, '"');
    }
  }
}

std::string text_of(const Entry& e) {
  std::string line;
  append_text(line, e);
  return line;
}

}  // namespace culvert::logging
