// The program `vitrail`: pictures in, answers out. Exit codes: 0 good, 1 something failed, 2 wrong usage.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "console.hpp"

namespace {

/// CLI11 says of what should be a command and is none that one is missing.
void check_command(const CLI::App& app, std::string_view found) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == found) return;
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  throw CLI::ValidationError("found " + std::string(found) + ", expected one of " + names);
}

/// An empty text, a shell's variable that was not set, would be a name, or a zero, or as good as no option.
void refuse_empty_texts(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({}))
    for (CLI::Option* option : command->get_options()) {
      if (option->get_items_expected_max() == 0) continue;  // a flag
      const std::string message = "found an empty text, expected " + option->get_type_name();
      const auto check = [message](const std::string& text) { return text.empty() ? message : std::string(); };
      option->transform(CLI::Validator(check, ""));  // as check() does, but before all others
    }
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

  const auto tell_json_readers = [&](const std::exception& error) {
    if (std::find(argv, argv + argc, std::string_view("--json")) != argv + argc) print_json({{"error", error.what()}});
  };

  int exit_code = kSuccess;
  add_classify(app, exit_code);
  add_embed(app, exit_code);
  add_similar(app, exit_code);
  add_attention(app, exit_code);
  add_features(app, exit_code);
  add_mae(app, exit_code);
  add_patches(app);
  add_info(app);
  add_bench(app);
  add_plan(app);
  refuse_empty_texts(app);
  try {
    if (argc > 1 && argv[1][0] != '-') check_command(app, argv[1]);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? kSuccess : kUsage;  // --help and --version come this way too
    if (exit_code == kUsage) tell_json_readers(error);
  } catch (const std::exception& error) {
    report(error.what());
    tell_json_readers(error);
    exit_code = kFailure;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    report("standard output cannot be written");
    return kFailure;
  }
  return exit_code;
}
