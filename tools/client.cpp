#include "client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <stdexcept>

namespace culvert::tools {
namespace {

constexpr size_t kLongestLine = 16u << 20;

std::string remedy(int error) {
  if (error == EACCES || error == EPERM) return "you need to be root or in the socket's group";
  if (error == ENOENT || error == ECONNREFUSED) {
    return "is culvertd running? Its configuration names the socket: control-socket; give --socket if it is "
           "another";
  }
  return "give another with --socket";
}

}  // namespace

Client::Client(const std::string& socket_path) : path_(socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.empty() || path_.size() >= sizeof address.sun_path) {
    throw UsageError(
        fmt::format("--socket {}: a path of 1 to {} bytes is needed", path_, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    throw std::runtime_error(
        fmt::format("cannot reach culvertd on {}: {}; {}", path_, std::strerror(error), remedy(error)));
  }
  const timeval patience{60, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

Client::~Client() { close(fd_); }

void Client::send(const nlohmann::json& request) {
  const std::string line = request.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
  for (size_t at = 0; at < line.size();) {
    const ssize_t n = ::send(fd_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // a refusal may lie in the answer already; next_line() tells
    at += static_cast<size_t>(n);
  }
}

std::string Client::next_line() {
  for (size_t searched = read_;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(read_, end - read_);
      read_ = end + 1;
      return line;
    }
    buffer_.erase(0, read_);
    read_ = 0;
    searched = buffer_.size();
    char chunk[65536];
    const ssize_t n = recv(fd_, chunk, sizeof chunk, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      throw std::runtime_error(fmt::format("culvertd on {} gave no answer for a minute", path_));
    }
    if (n <= 0 || buffer_.size() > kLongestLine) {
      throw std::runtime_error(
          fmt::format("culvertd on {} ended the connection before the end of its answer", path_));
    }
    buffer_.append(chunk, static_cast<size_t>(n));
  }
}

int ask(std::string_view name, const po::variables_map& given, const nlohmann::json& request,
        const RowHandler& row) {
  Client client(given["socket"].as<std::string>());
  client.send(request);
  const bool as_json = given.contains("json");
  for (;;) {
    const std::string line = client.next_line();
    // Rows are far more than ends, so with --json they are not even parsed.
    const bool last = line.starts_with(R"({"end":)") || line.starts_with(R"({"error":)");
    if (as_json && !last) {
      std::cout << line << '\n';
      continue;
    }
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) throw std::runtime_error("culvertd's answer is no JSON: " + line.substr(0, 80));
    if (!last) {
      row(object);
      continue;
    }
    if (object.contains("end")) {
      std::cout.flush();
      return std::cout ? 0 : 1;
    }
    std::cout.flush();
    std::cerr << "culvert " << name << ": " << object.value("error", "") << '\n';
    return object.value("usage", false) ? 2 : 1;
  }
}

}  // namespace culvert::tools
