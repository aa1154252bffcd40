#include "runtime/model/mapped_file.hpp"

#include <cerrno>
#include <limits>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vitrail {
namespace {

Error io_error(const std::filesystem::path& path, std::string_view what) {
  return {ErrorCode::io, path.string() + ": " + std::string(what)};
}

Error system_error(const std::filesystem::path& path, std::string_view what, int code) {
  return io_error(path, std::string(what) + ": " + std::generic_category().message(code));
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever. It changes nothing for regular files.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return system_error(path, "cannot be opened", errno);
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};

  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(path, "cannot be examined", errno);
  if (S_ISDIR(info.st_mode)) return io_error(path, "is a folder, expected a file");
  if (!S_ISREG(info.st_mode)) return io_error(path, "is a device, pipe or socket, expected a regular file");
  if (info.st_size == 0) return Error{ErrorCode::bad_file, path.string() + ": is empty"};
  if (static_cast<std::uintmax_t>(info.st_size) > std::numeric_limits<std::ptrdiff_t>::max())
    return io_error(path, "is larger than the address space");

  auto size = static_cast<std::size_t>(info.st_size);
  auto file = std::shared_ptr<MappedFile>(new MappedFile);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) return system_error(path, "cannot be mapped", errno);
  file->bytes_ = {static_cast<const std::byte*>(address), size};
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::drop_pages(const std::byte* first, std::size_t count) const noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<std::size_t>(first - bytes_.data());
  const std::size_t from = (begin + page - 1) / page * page, to = (begin + count) / page * page;
  if (from < to) ::madvise(const_cast<std::byte*>(bytes_.data()) + from, to - from, MADV_DONTNEED);
}

}  // namespace vitrail
