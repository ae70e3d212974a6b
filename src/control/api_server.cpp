#include "control/api_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace culvert::control {
namespace {

constexpr mode_t kMode = 0660;
constexpr int kBacklog = 64;

[[noreturn]] void fail(const std::string& path, std::string_view what) {
  const int error = errno;
  throw std::runtime_error(fmt::format("control-socket {}: {}: {}", path, what, std::strerror(error)));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof a.sun_path) {
    throw std::runtime_error(
        fmt::format("control-socket {}: a path of 1 to {} bytes is needed, this one has {}", path,
                    sizeof a.sun_path - 1, path.size()));
  }
  std::memcpy(a.sun_path, path.c_str(), path.size() + 1);
  return a;
}

/// Takes away what a dead culvertd left; never a socket in use, nor a file of another kind.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat st{};
  if (lstat(path.c_str(), &st) != 0) return;
  if (!S_ISSOCK(st.st_mode)) {
    throw std::runtime_error(
        fmt::format("control-socket {}: there is a file of that name that is no socket", path));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) fail(path, "socket");
  const int result = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  close(probe);
  if (result == 0 || error == EAGAIN) {
    throw std::runtime_error(
        fmt::format("control-socket {}: another culvertd serves it; stop that one first", path));
  }
  unlink(path.c_str());
}

}  // namespace

ApiServer::ApiServer(EventLoop& loop, const std::string& path, ApiContext& context, const Limits& limits)
    : loop_(loop), context_(context), limits_(limits), path_(path) {
  listen_on(path);
  loop_.watch(listener_, EPOLLIN, [this](uint32_t) { accept_clients(); });
  listening_ = true;
  timer_ = loop_.every(std::chrono::milliseconds(1000), [this] { drop_idle(); });
}

void ApiServer::listen_on(const std::string& path) {
  const sockaddr_un address = address_of(path);
  std::error_code ignored;  // bind() tells what is wrong
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  remove_stale(path, address);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) fail(path, "socket");
  // The mode of the descriptor becomes the file's, so that there is no moment in which others may connect.
  fchmod(listener_, kMode);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    close(listener_);
    errno = error;
    fail(path, "cannot be made");
  }
  chmod(path.c_str(), kMode);  // the umask may have taken the group's bits away
  if (listen(listener_, kBacklog) != 0) fail(path, "listen");
}

ApiServer::~ApiServer() {
  loop_.cancel(timer_);
  while (!clients_.empty()) drop(clients_.begin()->first);
  if (listening_) loop_.forget(listener_);
  unlink(path_.c_str());
  close(listener_);
}

void ApiServer::accept_clients() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        // No descriptor left: the listener stays readable, so it is not watched until the next beat of the
        // timer.
        loop_.forget(listener_);
        listening_ = false;
      }
      return;
    }
    if (clients_.size() >= limits_.clients) {
      std::string line;
      append_error(
          line, fmt::format("{} clients are being served already, no more are; try again", limits_.clients));
      [[maybe_unused]] const ssize_t n = send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      close(fd);
      continue;
    }
    const ClientId id = next_client_++;
    Client& c = clients_[id];
    c.fd = fd;
    c.since = Clock::now();
    c.watched = EPOLLIN;
    loop_.watch(fd, EPOLLIN, [this, id](uint32_t events) { serve(id, events); });
  }
}

void ApiServer::serve(ClientId id, uint32_t events) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  Client& c = it->second;
  if (c.answer == nullptr && !c.finished) {
    if (!read_request(c)) return drop(id);
    const size_t end = c.request.find('\n');
    if (end != std::string::npos) {
      begin(id, c, std::string_view(c.request).substr(0, end));
    } else if (c.request.size() > kLongestRequest) {
      refuse(c, fmt::format("the request is longer than {} bytes", kLongestRequest));
    } else {
      return;
    }
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    return drop(id);  // whoever asked is gone
  }
  turn(id);
}

/// False when the connection is over.
bool ApiServer::read_request(Client& c) {
  char buffer[kLongestRequest + 1];
  const ssize_t n =
      recv(c.fd, buffer, sizeof buffer - std::min(c.request.size(), kLongestRequest), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  c.request.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

void ApiServer::begin(ClientId id, Client& c, std::string_view line) {
  const auto request = parse_request(line);
  if (const auto* mistake = std::get_if<std::string>(&request)) return refuse(c, *mistake);
  c.answer = make_answer(std::get<ApiRequest>(request), context_);
  c.answer->wake = [this, id] {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    it->second.waiting = false;
    turn(id);
  };
}

void ApiServer::refuse(Client& c, std::string_view message) {
  append_error(c.out, message, true);
  c.finished = true;
}

/// Sends what there is. False when the connection is over.
bool ApiServer::flush(Client& c) {
  while (c.sent < c.out.size()) {
    const ssize_t n = send(c.fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    c.sent += static_cast<size_t>(n);
    c.since = Clock::now();
  }
  c.out.clear();
  c.sent = 0;
  return true;
}

/// One client's turn: sends, and does one step of its answer if the client has taken all there was.
void ApiServer::turn(ClientId id) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  Client& c = it->second;
  if (!flush(c)) return drop(id);
  if (c.out.empty() && !c.finished && !c.waiting) {
    const Answer::Step step = c.answer->step(c.out);
    c.finished = step == Answer::Step::done;
    c.waiting = step == Answer::Step::waiting;
    if (!flush(c)) return drop(id);
  }
  if (c.out.empty() && c.finished) return drop(id);
  watch(c, c.out.empty() && c.waiting ? 0u : uint32_t{EPOLLOUT});
}

void ApiServer::watch(Client& c, uint32_t events) {
  if (c.watched == events) return;
  c.watched = events;
  loop_.change(c.fd, events);
}

void ApiServer::drop(ClientId id) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  if (it->second.answer) it->second.answer->wake = nullptr;  // an errand may still be under way for it
  loop_.forget(it->second.fd);
  close(it->second.fd);
  clients_.erase(it);
}

void ApiServer::drop_idle() {
  if (!listening_) {
    loop_.watch(listener_, EPOLLIN, [this](uint32_t) { accept_clients(); });
    listening_ = true;
  }
  const auto now = Clock::now();
  std::vector<ClientId> late;
  for (const auto& [id, c] : clients_) {
    const bool asking = c.answer == nullptr && !c.finished;
    if (!c.waiting && now - c.since > (asking ? limits_.request : limits_.stall)) late.push_back(id);
  }
  for (const ClientId id : late) drop(id);
}

}  // namespace culvert::control
