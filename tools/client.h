/// The client's side of culvertd's control socket: one request, an answer of JSON lines
/// (src/control/api_request.h).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "arguments.h"

namespace culvert::tools {

class Client {
 public:
  /// Throws std::runtime_error that says what to do when nobody listens there.
  explicit Client(const std::string& socket_path);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const nlohmann::json& request);
  /// The next line of the answer, without its end. Throws when the connection ends instead.
  std::string next_line();

 private:
  std::string path_;
  int fd_ = -1;
  std::string buffer_;
  size_t read_ = 0;  ///< bytes of the buffer already given out
};

using RowHandler = std::function<void(const nlohmann::json& row)>;

/// Asks culvertd and gives each row to `row`; with --json prints the rows as they come instead. Returns the
/// exit code; what culvertd complains of is on stderr. `name` is the subcommand, for messages.
int ask(std::string_view name, const po::variables_map& given, const nlohmann::json& request,
        const RowHandler& row);

}  // namespace culvert::tools
