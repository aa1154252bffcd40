// The program `vitrail`: pictures in, answers out. Exit codes: 0 good, 1 something failed, 2 wrong usage.
#include <cstdio>
#include <exception>

#include "commands.hpp"
#include "console.hpp"

namespace {

/// An error when what should be a command is none; CLI11 says then that one is missing.
std::string check_command(const CLI::App& app, std::string_view found) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == found) return {};
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return "found " + std::string(found) + ", expected one of " + names;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vitrail::cli;
  CLI::App app{"Vision Transformers on small CPUs: classify pictures, embed them, or see their patches.", "vitrail"};
  app.set_version_flag("--version", "vitrail " VITRAIL_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "vitrail: " + printable(error.what()) + "\nRun vitrail --help, or vitrail COMMAND --help.\n";
  });

  int exit_code = kSuccess;
  add_classify(app, exit_code);
  add_embed(app, exit_code);
  add_similar(app, exit_code);
  add_attention(app, exit_code);
  add_features(app, exit_code);
  add_mae(app, exit_code);
  add_patches(app, exit_code);
  add_info(app, exit_code);
  add_bench(app, exit_code);
  add_plan(app, exit_code);
  if (argc > 1 && argv[1][0] != '-') {
    if (const std::string wrong = check_command(app, argv[1]); !wrong.empty()) {
      report(wrong);
      return kUsage;
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? kSuccess : kUsage;  // --help and --version come this way too
  } catch (const std::exception& error) {
    report(error.what());
    return kFailure;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    report("standard output cannot be written");
    return kFailure;
  }
  return exit_code;
}
