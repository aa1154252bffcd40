// A file that appears whole or not at all.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "vitrail/error.hpp"

namespace vitrail::codec {

/// Writes go to a file beside the target; commit() renames it onto the target. Without a commit the target stays as it
/// was and the file beside it is removed. A target that exists and is no regular file (a pipe, a device) is written
/// directly.
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
  AtomicFile(std::FILE* file, std::filesystem::path target, std::filesystem::path written);

  std::FILE* file_;
  std::filesystem::path target_;
  std::filesystem::path written_;  // empty when the target itself is written
};

}  // namespace vitrail::codec
