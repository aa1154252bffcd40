// A whole file as read-only bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail {

/// A regular file mapped into memory. The bytes stay valid as long as the object lives, also when the file is deleted
/// or replaced; a file that is *shortened in place* meanwhile makes later reads fault, as with any mapping.
class MappedFile {
 public:
  /// Refuses what is missing, empty, unreadable or not a regular file (folders, devices; a FIFO is not waited for).
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  /// Part of bytes() is not needed soon: its whole pages leave the process's memory. Reading them again reads the file
  /// again. Thread-safe.
  void drop_pages(const std::byte* first, std::size_t count) const noexcept;

  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  MappedFile() = default;
  std::span<const std::byte> bytes_;
};

}  // namespace vitrail
