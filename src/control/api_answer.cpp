#include "control/api_answer.h"

#include "control/api_json.h"

namespace culvert::control {
namespace {

class Refusal : public Answer {
 public:
  explicit Refusal(std::string message) : message_(std::move(message)) {}
  Step step(std::string& out) override {
    append_error(out, message_, true);
    return Step::done;
  }

 private:
  std::string message_;
};

}  // namespace

void append_end(std::string& out, uint64_t rows) {
  JsonRow row(out);
  row.flag("end", true).number("rows", rows);
  row.end();
}

void append_error(std::string& out, std::string_view message, bool usage) {
  JsonRow row(out);
  row.text("error", message);
  if (usage) row.flag("usage", true);
  row.end();
}

std::shared_ptr<Answer> make_answer(const ApiRequest& request, ApiContext& context) {
  // A misspelt instance would silently list nothing.
  if (const auto& wanted = request.filter.instance) {
    bool known = false;
    for (const auto& i : context.engine().tables().instances) known |= !i.name.empty() && i.name == *wanted;
    if (!known) {
      std::string names;
      for (const auto& i : context.engine().tables().instances) {
        if (!i.name.empty()) names += (names.empty() ? "" : ", ") + i.name;
      }
      return std::make_shared<Refusal>("instance " + wanted->substr(0, 60) + ": there is none; there are " +
                                       names);
    }
  }
  if (auto answer = make_report(request, context)) return answer;
  if (auto answer = make_listing(request, context)) return answer;
  if (auto answer = make_clear(request, context)) return answer;
  return std::make_shared<Refusal>("there is no command " + request.command);
}

}  // namespace culvert::control
