// A file that appears whole or not at all.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "vitrail/error.hpp"

namespace vitrail::codec {

/// Writes go to a file without a name in the target's folder, so that a program that is killed leaves nothing behind;
/// or, where there are no such files, to one beside the target. commit() renames it onto the target. Without a commit
/// the target stays as it was and the other file is removed. A target that exists and is no regular file (a pipe, a
/// device) is written directly.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& target);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  std::FILE* file() const noexcept { return file_; }
  Status commit();
  /// "target: cannot be written: why".
  Error failed(const std::string& why) const;

 private:
  AtomicFile(std::FILE* file, std::filesystem::path target, bool nameless = false, std::filesystem::path written = {});

  std::FILE* file_;
  std::filesystem::path target_;
  bool nameless_;                  // until commit()
  std::filesystem::path written_;  // empty when the target itself is written, or a file without a name
};

}  // namespace vitrail::codec
