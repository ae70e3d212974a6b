/// The control socket: a UNIX stream socket on which `culvert` asks and culvertd answers (api_request.h has
/// the language). One request a connection; the answer is streamed, then the connection is closed.
///
/// Nobody can hold up the control core or cost others anything: nothing blocks, a client gets at most one
/// chunk of work a turn, a reader that does not read pauses its own answer, and all that a client can hold is
/// bounded: the number of clients, the length of a request, the time for sending one and the time without
/// taking any of the answer. Who may connect is a matter of the file's mode (0660) and directory.
///
/// Thread: the control core.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "control/api_answer.h"
#include "control/event_loop.h"

namespace culvert::control {

class ApiServer {
 public:
  struct Limits {
    size_t clients = 64;
    std::chrono::milliseconds request{5'000};  ///< from connecting to the end of the request
    std::chrono::milliseconds stall{30'000};   ///< of an answer that is not read
  };

  /// Makes the socket; a stale one of a dead process is replaced. Throws std::runtime_error that names the
  /// path and what would help. `context` outlives the server.
  ApiServer(EventLoop& loop, const std::string& path, ApiContext& context, const Limits& limits);
  ApiServer(EventLoop& loop, const std::string& path, ApiContext& context)
      : ApiServer(loop, path, context, Limits()) {}
  /// Closes every connection and removes the socket.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  const std::string& path() const { return path_; }
  size_t clients() const { return clients_.size(); }

 private:
  using ClientId = uint64_t;
  using Clock = std::chrono::steady_clock;
  struct Client {
    int fd = -1;
    uint32_t watched = 0;  ///< events asked of the loop
    std::string request;
    std::string out;  ///< bytes of the answer not yet sent …
    size_t sent = 0;  ///< … but for these first ones
    std::shared_ptr<Answer> answer;
    bool waiting = false;     ///< for a worker
    bool finished = false;    ///< the last line is in `out`
    Clock::time_point since;  ///< when it connected, or last took something
  };

  void listen_on(const std::string& path);
  void accept_clients();
  void serve(ClientId id, uint32_t events);
  bool read_request(Client& c);
  void begin(ClientId id, Client& c, std::string_view line);
  void refuse(Client& c, std::string_view message);
  bool flush(Client& c);
  void turn(ClientId id);
  void watch(Client& c, uint32_t events);
  void drop(ClientId id);
  void drop_idle();

  EventLoop& loop_;
  ApiContext& context_;
  const Limits limits_;
  std::string path_;
  int listener_ = -1;
  bool listening_ = false;  ///< watched: not while descriptors have run out
  std::map<ClientId, Client> clients_;
  ClientId next_client_ = 1;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace culvert::control
