#include "mounts.h"

#include "scan.h"

namespace mailherd {

namespace {

int Octal(char c) noexcept { return c >= '0' && c <= '7' ? c - '0' : -1; }

/// The kernel writes blank, tab, newline and backslash as three octal digits.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && Octal(text[i + 1]) >= 0 && Octal(text[i + 2]) >= 0 && Octal(text[i + 3]) >= 0) {
      plain.push_back(static_cast<char>(Octal(text[i + 1]) * 64 + Octal(text[i + 2]) * 8 + Octal(text[i + 3])));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

bool Holds(std::string_view point, std::string_view path) noexcept {
  if (point == "/") return path.starts_with('/');
  return path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
}

}  // namespace

Mount FindMount(std::string_view text, std::string_view path) {
  Mount found;
  size_t longest = 0;
  std::string_view line, id, parent, device, root, point, options, word, type, source, superOptions;
  while (NextLine(text, line)) {
    if (!NextWord(line, id) || !NextWord(line, parent) || !NextWord(line, device) || !NextWord(line, root) || !NextWord(line, point) || !NextWord(line, options)) continue;
    const std::string plain = Unescape(point);
    if (plain.size() < longest || !Holds(plain, path)) continue;
    bool separated = false;
    while (!separated && NextWord(line, word)) separated = word == "-";
    if (!separated || !NextWord(line, type) || !NextWord(line, source)) continue;
    longest = plain.size();
    found = Mount{std::string(device), Unescape(source), std::string(type), std::string(options)};
    if (NextWord(line, superOptions)) found.options.append(",").append(superOptions);
  }
  return found;
}

}  // namespace mailherd
