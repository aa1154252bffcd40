// The commands of the program. Each adds itself to the parser and, when chosen, throws what went wrong. Those that go
// on after a picture that failed leave an exit code behind.
#pragma once

#include <CLI/CLI.hpp>

namespace vitrail::cli {

void add_classify(CLI::App& app, int& exit_code);
void add_embed(CLI::App& app, int& exit_code);
void add_similar(CLI::App& app, int& exit_code);
void add_attention(CLI::App& app, int& exit_code);
void add_features(CLI::App& app, int& exit_code);
void add_mae(CLI::App& app, int& exit_code);
void add_patches(CLI::App& app);
void add_info(CLI::App& app);
void add_bench(CLI::App& app);
void add_plan(CLI::App& app);

}  // namespace vitrail::cli
