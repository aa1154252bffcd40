// --affinity: cores of made-up machines.
#include "tools/vitrail/affinity.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/support/files.hpp"

using namespace vitrail;
using namespace vitrail::cli;
using Numbers = std::vector<int>;

namespace {

/// A folder like /sys/devices/system/cpu.
struct Machine {
  test::TemporaryFolder folder;
  explicit Machine(const std::string& online) { write("online", online + "\n"); }
  void write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(folder.path()) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void capacity(int core, const std::string& text, const std::string& file = "cpu_capacity") {
    write("cpu" + std::to_string(core) + "/" + file, text);
  }
  std::vector<Core> cores() const { return read_cores(folder.path()); }
};

Numbers chosen(std::string_view which, const Machine& machine) {
  const auto cores = choose_cores(which, machine.cores());
  REQUIRE(cores);
  return *cores;
}

std::string refused(std::string_view which, const Machine& machine) {
  const auto cores = choose_cores(which, machine.cores());
  REQUIRE(!cores);
  return cores.error().message;
}

}  // namespace

TEST_CASE("big.LITTLE by capacity: RK3588, four A55 and four A76") {
  Machine machine("0-7");
  for (int i = 0; i < 8; ++i) machine.capacity(i, i < 4 ? "530\n" : "1024\n");
  CHECK(chosen("big", machine) == Numbers{4, 5, 6, 7});
  CHECK(chosen("little", machine) == Numbers{0, 1, 2, 3});
  CHECK(chosen("all", machine) == Numbers{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("three kinds of cores: the middle ones are nearer to the big ones") {
  Machine machine("0-7");
  for (int i = 0; i < 8; ++i) machine.capacity(i, i < 4 ? "250" : i < 7 ? "870" : "1024");
  CHECK(chosen("big", machine) == Numbers{4, 5, 6, 7});
  CHECK(chosen("little", machine) == Numbers{0, 1, 2, 3});
}

TEST_CASE("without capacities the largest frequencies count") {
  Machine machine("0-3");
  for (int i = 0; i < 4; ++i) machine.capacity(i, i < 2 ? "1800000" : "2800000", "cpufreq/cpuinfo_max_freq");
  CHECK(chosen("big", machine) == Numbers{2, 3});
  for (int i = 0; i < 3; ++i) machine.capacity(i, "1024");  // one core without: not comparable
  CHECK(chosen("big", machine) == Numbers{2, 3});
}

TEST_CASE("equal cores, and those a few percent apart, are one kind") {
  Machine machine("0-3");
  CHECK(chosen("big", machine) == Numbers{0, 1, 2, 3});
  CHECK(chosen("little", machine) == Numbers{0, 1, 2, 3});
  for (int i = 0; i < 4; ++i) machine.capacity(i, i == 2 ? "5000000" : "4700000", "cpufreq/cpuinfo_max_freq");
  CHECK(chosen("big", machine) == Numbers{0, 1, 2, 3});
}

TEST_CASE("masks and lists") {
  Machine machine("0-3,8-11");
  CHECK(chosen("0x1", machine) == Numbers{0});
  CHECK(chosen("0xf0f", machine) == Numbers{0, 1, 2, 3, 8, 9, 10, 11});
  CHECK(chosen("0x00000000000000000000102", machine) == Numbers{1, 8});
  CHECK(chosen("2", machine) == Numbers{2});
  CHECK(chosen("1,3-9", machine) == Numbers{1, 3, 8, 9});
  CHECK(refused("0xf0", machine) ==
        "--affinity: found '0xf0', which means no core that is online; online: 0, 1, 2, 3, 8, 9, 10, 11");
  CHECK(refused("4-7", machine).find("no core that is online") != std::string::npos);
  for (const char* wrong : {"", "fast", "0x", "0xfg", "3-1", "1,,2", "1-", "-1", "1;2", "99999999999", "0-5000"}) {
    CAPTURE(wrong);
    CHECK(refused(wrong, machine).find("expected all, big, little, a mask") != std::string::npos);
  }
}

TEST_CASE("a sysfs that is missing or odd") {
  CHECK(read_cores("/nowhere/at/all").empty());
  CHECK(Machine("").cores().empty());
  CHECK(Machine("three").cores().empty());
  Machine machine("0-1");
  machine.capacity(0, "fast");
  machine.capacity(1, "-5");
  REQUIRE(machine.cores().size() == 2);
  CHECK(machine.cores()[0].capacity == machine.cores()[1].capacity);
  CHECK(chosen("big", machine) == Numbers{0, 1});
  CHECK(static_cast<bool>(run_on("big")));  // this machine, whatever it is
}
