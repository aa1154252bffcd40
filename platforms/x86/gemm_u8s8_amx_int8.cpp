// int8 GEMM tile for x86 with AMX: tdpbusd multiplies a tile register of 16 rows × 64 u8 with one of 64 k × 16 columns
// of s8 (groups of four k) and adds to one of 16 × 16 s32 without saturating. As much as eight times what VNNI does in
// a cycle; what its sums are finished with takes as long as the products of small layers, so that is done beside the
// next ones.
#include "platforms/tile.hpp"
#include "platforms/x86/finish_vnni.hpp"
#include "platforms/x86/x86.hpp"
#include "platforms/x86/zmm.hpp"

namespace vitrail::x86 {
namespace {

struct Here;
using S = Zmm<Here>;
using Finish = FinishVnni<S>;

constexpr int side = 16;  ///< rows of a tile register, and its columns of 32 bits
constexpr int step = 64;  ///< k of a tile register
// A strip is the two tiles that are multiplied together: weights come from the second cache in the order in which they
// lie, which its hardware foresees.
constexpr LayoutS8 layout{2 * side, 4};
constexpr std::size_t b_row = layout.columns * layout.group;  ///< bytes from four k of the weights to the next four
static_assert(PackedS8::k_unit % step == 0);

// Eight tile registers: 0 … 3 are sums, 4 and more activations and weights. The instructions are written as assembly,
// so that the compiler need not know of AMX.
template <int tile>
VITRAIL_INLINE void zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int tile>
VITRAIL_INLINE void load(const void* rows, std::size_t row_bytes) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(row_bytes), "i"(tile) : "memory");
}
template <int tile>
VITRAIL_INLINE void store(std::int32_t* rows, std::size_t ld) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(4 * ld), "i"(tile) : "memory");
}
template <int sums, int a, int b>
VITRAIL_INLINE void multiply_add() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(a), "i"(b));
}

/// The shapes of the tile registers while this lives (Intel's manual, "TILECFG").
class Configured {
 public:
  /// Rows of R tiles of activations, `last` in the last of them.
  template <int R>
  static void rows(std::integral_constant<int, R>, int last) {
    alignas(64) Shapes shapes;
    const auto row_count = static_cast<std::uint8_t>(last);
    for (int i = 0; i < 8; ++i) shapes.row_bytes[i] = step;
    for (int i = 0; i < 8; ++i) shapes.rows[i] = side;
    if constexpr (R == 2)
      shapes.rows[2] = shapes.rows[3] = shapes.rows[5] = row_count;
    else
      shapes.rows[0] = shapes.rows[1] = shapes.rows[2] = shapes.rows[3] = shapes.rows[4] = row_count;
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
  }
  Configured() = default;
  Configured(const Configured&) = delete;
  Configured& operator=(const Configured&) = delete;
  /// An operating system then has nothing of it to save.
  ~Configured() { __asm__ volatile("tilerelease"); }

 private:
  struct Shapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  };
  static_assert(sizeof(Shapes) == 64);
};

/// Four tiles of sums: R × (4 / R), each 16 rows × 16 columns.
template <int R>
struct Block {
  static constexpr int rows = R * side, columns = 4 / R * side;
  static_assert(R == 1 || R == 2);

  /// Over all of k. meanwhile() is called after each step's products, which go on by themselves.
  template <class Meanwhile>
  VITRAIL_INLINE static void multiply(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k_padded,
                                      const Meanwhile& meanwhile) {
    unroll<4>([](auto i) __attribute__((always_inline)) { zero<i>(); });
    constexpr int tile_bytes = layout.group * side;  // of one row of weights
    const std::size_t strip_bytes = layout.at(layout.columns, 0, k_padded);
    for (int i = 0; i < k_padded; i += step, b += step / 4 * b_row) {
      load<4>(a + i, lda_bytes);
      if constexpr (R == 2) {
        load<6>(b, b_row);
        load<7>(b + tile_bytes, b_row);
        load<5>(a + side * lda_bytes + i, lda_bytes);
        multiply_add<0, 4, 6>();
        multiply_add<1, 4, 7>();
        multiply_add<2, 5, 6>();
        multiply_add<3, 5, 7>();
      } else {
        unroll<4>([&](auto j) __attribute__((always_inline)) {
          constexpr int weights = 5 + j % 3;
          load<weights>(b + j / 2 * strip_bytes + j % 2 * tile_bytes, b_row);
          multiply_add<j, 4, weights>();
        });
      }
      meanwhile();
    }
  }

  VITRAIL_INLINE static void store_sums(std::int32_t* acc, std::size_t ldacc) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      constexpr int across = 4 / R;
      store<i>(acc + i / across * side * ldacc + i % across * side, ldacc);
    });
  }
};

/// Fetches a tile's share of what comes after it, some lines with every step.
struct Fetch {
  const std::int8_t* at;
  int lines = 0;

  explicit Fetch(const GemmU8S8Tile& t) : at(t.ahead.data) {
    const int steps =
        round_up(t.rows, side) * round_up(t.cols, PackedS8::panel) / (4 * side * side) * (t.k_padded / step);
    if (at) lines = static_cast<int>(t.ahead.bytes / 64) / steps + 1;
  }
  VITRAIL_INLINE void next() {
    for (int i = 0; i < lines; ++i, at += 64) __builtin_prefetch(at, 0, 2);
  }
};

/// Calls f(std::integral_constant<int, R>, m, n) for blocks of R tiles of rows, from row m and column n on; the
/// registers are configured for it. Columns are the inner loop: rows stay in the nearest cache, weights pass by.
template <class F>
VITRAIL_INLINE void each_block(const GemmU8S8Tile& t, F f) {
  const Configured configured;
  const auto blocks = [&](auto R, int m, int rows) __attribute__((always_inline)) {
    Configured::rows(R, rows - (R - 1) * side);
    for (; m + rows <= t.rows; m += rows)
      for (int n = 0; n < t.cols; n += Block<R>::columns) f(R, m, n);
  };
  constexpr std::integral_constant<int, 1> one{};
  constexpr std::integral_constant<int, 2> two{};
  const int whole = t.rows / (2 * side) * (2 * side), rest = t.rows - whole;
  if (whole > 0) blocks(two, 0, 2 * side);
  if (rest > side)
    blocks(two, whole, rest);
  else if (rest > 0)
    blocks(one, whole, rest);
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  Fetch fetch(t);
  each_block(
      t, [&](auto R, int m, int n) __attribute__((always_inline)) {
        using B = Block<R>;
        B::multiply(
            t.a + m * t.lda_bytes, t.lda_bytes, t.b + layout.at(n, 0, t.k_padded),
            t.k_padded, [&]() __attribute__((always_inline)) { fetch.next(); });
        B::store_sums(t.acc + m * t.ldacc + n, t.ldacc);
      });
}

/// The sums of one block, finished some rows at a time.
template <int R, bool has_residual>
class Unfinished {
  static constexpr int columns = Block<R>::columns, registers = columns / side, together = 4;

 public:
  /// @param turns  of some() it takes at most
  void begin(const std::int32_t* sums, int rows, const Finish::From& from, int turns) {
    sums_ = sums;
    rows_ = rows;
    from_ = from;
    per_turn_ = (rows / together + turns - 1) / turns;
  }
  VITRAIL_INLINE void some() {
    for (int i = 0; i < per_turn_ && rows_ >= together; ++i) finish<together>();
  }
  VITRAIL_INLINE void all() {
    while (rows_ >= together) finish<together>();
    while (rows_ > 0) finish<1>();
  }

 private:
  template <int M>
  VITRAIL_INLINE void finish() {
    Finish::finish<M, registers, has_residual>(
        from_, [&](auto m, auto j) __attribute__((always_inline)) { return S::load(sums_ + m * columns + j * side); });
    sums_ += M * columns;
    from_ = from_.at(M, 0);
    rows_ -= M;
  }
  const std::int32_t* sums_ = nullptr;
  int rows_ = 0, per_turn_ = 0;
  Finish::From from_{};
};

bool linear_at_once(const GemmU8S8Tile& t, const Dequant& d, const Epilogue& e, float* dst, std::size_t ld_dst) {
  if (!Finish::serves(t, e)) return false;
  Finish::prepare(t, d, e, dst, ld_dst, [&](auto has_residual, const Finish::From& from) {
    Fetch fetch(t);
    Unfinished<1, has_residual> narrow;
    Unfinished<2, has_residual> wide;
    each_block(
        t, [&](auto R, int m, int n) __attribute__((always_inline)) {
          using B = Block<R>;
          auto& last = [&]() -> auto& {
            if constexpr (R == 1)
              return narrow;
            else
              return wide;
          }
          ();
          B::multiply(
              t.a + m * t.lda_bytes, t.lda_bytes, t.b + layout.at(n, 0, t.k_padded),
              t.k_padded, [&]() __attribute__((always_inline)) {
                fetch.next();
                last.some();
              });
          wide.all();
          narrow.all();
          B::store_sums(t.acc, B::columns);
          last.begin(t.acc, std::min(B::rows, t.rows - m), from.at(m, n), t.k_padded / step);
        });
    wide.all();
    narrow.all();
  });
  return true;
}

std::uint64_t peak_u8s8(int rounds) {
  alignas(64) std::uint8_t threes[step];
  for (auto& x : threes) x = 3;
  const Configured configured;
  Configured::rows(std::integral_constant<int, 2>{}, side);
  unroll<4>([](auto i) __attribute__((always_inline)) { zero<i>(); });
  unroll<4>([&](auto i) __attribute__((always_inline)) { load<4 + i>(threes, 0); });
  for (int r = 0; r < rounds; ++r)
    unroll<4>([](auto i) __attribute__((always_inline)) { multiply_add<i, 4 + i / 2, 6 + i % 2>(); });
  return static_cast<std::uint64_t>(rounds) * 4 * side * side * step;
}

}  // namespace

void install_gemm_amx_int8(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.linear_at_once = linear_at_once;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_tile = {.row_unit = 2 * side, .max_rows = 4 * side, .max_weight_bytes = tile_weight_bytes};
  k.layout_s8 = layout;
  k.gemm_name = "amx_int8";
}

}  // namespace vitrail::x86
