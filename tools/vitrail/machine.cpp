#include "machine.hpp"

#include <sys/utsname.h>

#include <fstream>
#include <sstream>

namespace vitrail::cli {

std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    // x86 says "model name"; some ARM kernels say "Processor" or, at the end, "Hardware".
    if (!line.starts_with("model name") && !line.starts_with("Processor\t") && !line.starts_with("Hardware")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != line.npos) return line.substr(colon + 2);
  }
  // Boards with a device tree: "Raspberry Pi 5 Model B Rev 1.0", ended by a zero.
  std::ifstream board("/proc/device-tree/model");
  if (std::string name; std::getline(board, name, '\0') && !name.empty()) return name;
  utsname system{};
  return uname(&system) == 0 ? std::string(system.machine) : "unknown";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace vitrail::cli
