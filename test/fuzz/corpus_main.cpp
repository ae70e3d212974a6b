/// Runs a fuzz target over files and folders of inputs, once each: the corpus as a test, with any compiler.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

unsigned inputs = 0;

void run(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  // What to look at after a crash.
  if (isatty(STDERR_FILENO)) std::fprintf(stderr, "\r%-60s", path.filename().c_str());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  inputs++;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (!std::filesystem::is_directory(argv[i])) {
      run(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) run(entry.path());
  }
  if (isatty(STDERR_FILENO)) std::fprintf(stderr, "\n");
  std::printf("%u inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
