// Stands in for libFuzzer where there is none: mutates the files of a corpus by a seed, for so many seconds.
// usage: driver SEED SECONDS FOLDER...
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::string;

/// Words that parsers trip over.
const std::vector<Input> kWords = {"18446744073709551615", "9223372036854775808", "-1", "max", "\n", " ", "\t", "=", ":", "\\777", "-", "[", "]", "%", "\xff", Input(1, '\0'), "cpu", "some", "log"};

template <typename T>
void Append(Input& input, const T& value) {
  input.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Records such as the kernel sends: no text leads to them.
std::vector<Input> Records() {
  Input unix, tcp;
  unix_diag_msg listening = {};
  listening.udiag_family = AF_UNIX;
  listening.udiag_state = TCP_LISTEN;
  Append(unix, listening);
  Append(unix, rtattr{RTA_LENGTH(16), UNIX_DIAG_NAME});
  unix += "private/lmtp-in\n";
  Append(unix, rtattr{RTA_LENGTH(sizeof(unix_diag_rqlen)), UNIX_DIAG_RQLEN});
  Append(unix, unix_diag_rqlen{3, 100});
  inet_diag_msg connected = {};
  connected.idiag_family = AF_INET6;
  connected.idiag_state = TCP_LISTEN;
  Append(tcp, connected);
  Input names;  // rows of inotify_event: watch, mask, cookie, length, name
  for (const uint32_t mask : {uint32_t{IN_CREATE}, uint32_t{IN_MOVED_FROM}, uint32_t{IN_IGNORED}, uint32_t{IN_Q_OVERFLOW}, uint32_t{IN_DELETE | IN_ISDIR}}) {
    for (const uint32_t word : {1u, mask, 7u, 16u}) Append(names, word);
    names += Input("4cXyZ1B2C3z6789\0", 16);
  }
  return {unix, tcp, names};
}

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<Input> corpus) : random_(seed), corpus_(std::move(corpus)) {}

  Input Next() {
    Input input = corpus_[Below(corpus_.size())];
    for (size_t i = Below(8) + 1; i > 0; i--) Change(input);
    return input;
  }

 private:
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  void Change(Input& input) {
    const size_t at = Below(input.size() + 1);
    const size_t length = std::min(Below(32), input.size() - at);
    switch (Below(6)) {
      case 0: input.resize(at); break;
      case 1: input.erase(at, length); break;
      case 2: input.insert(at, kWords[Below(kWords.size())]); break;
      case 3: if (at < input.size()) input[at] = static_cast<char>(random_()); break;
      case 4: input.insert(at, input.substr(at, length)); break;
      case 5: {
        const Input& other = corpus_[Below(corpus_.size())];
        const size_t from = Below(other.size() + 1);
        input.insert(at, other.substr(from, Below(64)));
        break;
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<Input> corpus_;
};

}  // namespace

int main(int count, char** words) {
  if (count < 4) return 2;
  std::vector<Input> corpus = Records();
  for (int i = 3; i < count; i++) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(words[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  Mutator mutator(std::strtoull(words[1], nullptr, 10), std::move(corpus));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::strtoul(words[2], nullptr, 10));
  size_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 100; i++, runs++) {
      const Input input = mutator.Next();
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    }
  }
  std::printf("%zu inputs\n", runs);
  return 0;
}
