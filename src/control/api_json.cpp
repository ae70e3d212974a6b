#include "control/api_json.h"

#include <nlohmann/json.hpp>

namespace culvert::control {

void append_json_string(std::string& out, std::string_view text) {
  const auto plain = [](unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  bool all_plain = true;
  for (const char c : text) all_plain &= plain(static_cast<unsigned char>(c));
  if (all_plain) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace culvert::control
