#include "runtime/storage.hpp"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>

namespace vitrail {
namespace {

/// Memory of the system's, which is zero, and takes no memory before it is used. Not of operator new: there the wish
/// for huge pages would stay with what the application is given next.
std::byte* map_huge_pages(std::size_t bytes) {
  void* const p = ::mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(p) % huge_page;
  auto* const block = static_cast<std::byte*>(p) + before;
  if (before > 0) ::munmap(p, before);
  ::munmap(block + bytes, huge_page - before);
  ::madvise(block, bytes, MADV_HUGEPAGE);  // where it is refused, pages are small
  return block;
}

}  // namespace

void AlignedDelete::operator()(std::byte* p) const noexcept {
  if (mapped > 0) {
    ::munmap(p, mapped);
    return;
  }
  ::operator delete[](p, std::align_val_t{storage_alignment});
}

AlignedBytes allocate_aligned(std::uint64_t bytes) {
  const std::size_t size = align_up(std::max(addressable<std::byte>(bytes), std::size_t{1}));
  if (size >= huge_page && !ends_are_watched) {
    const std::size_t whole = align_up(size, huge_page);
    return AlignedBytes(map_huge_pages(whole), AlignedDelete{whole});
  }
  AlignedBytes block(static_cast<std::byte*>(::operator new[](size, std::align_val_t{storage_alignment})));
  std::memset(block.get(), 0, size);
  return block;
}

std::byte* Storage::take(std::size_t bytes) {
  // Each block about doubles what there is. What is not handed out is not touched: it takes addresses, and at most the
  // rest of one huge page.
  constexpr std::size_t smallest = ends_are_watched ? 0 : 64 * 1024, largest = ends_are_watched ? 0 : 16 * huge_page;
  const std::size_t whole = align_up(std::max(bytes, std::size_t{1}));
  auto block = std::find_if(blocks_.begin(), blocks_.end(), [=](const Block& b) { return b.size - b.used >= whole; });
  if (block == blocks_.end()) {
    const std::size_t size = std::max(whole, std::clamp(bytes_, smallest, largest));
    block = blocks_.insert(block, {allocate_aligned(size), size, 0});
  }
  std::byte* const p = block->memory.get() + block->used;
  block->used += whole;
  bytes_ += bytes;
  return p;
}

}  // namespace vitrail
