// vitrail patches: how a picture falls into patches. Draws the grid with token numbers, writes the patches as an array,
// or puts such an array together again. Needs no model.
#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "drawing.hpp"
#include "inputs.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  PictureOptions pictures;
  std::string patch = "16", stride, size;  // "16" or "16x24", height first
  bool pad = false, crop = false, json = false;
  int token = -1;  // −1: none is enlarged
  std::string out_file, extract_file, assemble_file;
};

Result<PatchGrid> make_grid(const Options& options, Size picture, int channels) {
  const Size patch = *parse_size(options.patch);
  const Size stride = options.stride.empty() ? Size{} : *parse_size(options.stride);
  PatchGridOptions grid;
  grid.height = picture.height;
  grid.width = picture.width;
  grid.channels = channels;
  grid.patch_height = patch.height;
  grid.patch_width = patch.width;
  grid.stride_y = stride.height;
  grid.stride_x = stride.width;
  grid.remainder = options.pad ? Remainder::pad : options.crop ? Remainder::crop : Remainder::refuse;
  auto made = PatchGrid::make(grid);
  if (made) return made;
  return in_options(made.error(), {{"Remainder::pad", "--pad"}, {"Remainder::crop", "--crop"}});
}

constexpr int kLargest = 4096;  // side of what is drawn enlarged, unless pixels alone take more

/// Beside the grid, whose zoom is given: one patch of it, every pixel as a square.
Result<Image> draw_patch(const ImageView& picture, const PatchGrid& grid, int token, const Image& drawn, int zoom) {
  constexpr int kMargin = 24, kTextScale = 2;
  constexpr Color kMark{255, 176, 32};
  const PixelRect rect = grid.rect(token);
  const int longer = std::max(rect.width, rect.height);
  const int cell = std::min(std::clamp(drawn.height() / 2 / longer, 6, 40), std::max(kLargest / longer, 1));
  const int dot = std::max(cell - 1, 1);
  const std::string title =
      "token " + std::to_string(token) + "  y " + std::to_string(rect.y) + "  x " + std::to_string(rect.x);
  const int title_height = (kLetterAscent + 6) * kTextScale;
  const int panel_width = std::max(rect.width * cell + 1, text_width(static_cast<int>(title.size()), kTextScale));
  const int panel_height = title_height + rect.height * cell + 1;

  const int width = drawn.width() + panel_width + 3 * kMargin,
            height = std::max(drawn.height(), panel_height) + 2 * kMargin;
  if (std::max(width, height) > max_image_side)
    return Error{ErrorCode::invalid_argument, "--token: found " + std::to_string(height) + " × " +
                                                  std::to_string(width) +
                                                  " pixels for the picture and the patch beside it, expected at most " +
                                                  std::to_string(max_image_side) + " a side"};
  Image canvas(width, height, PixelFormat::rgb8);
  fill(canvas, {0, 0, canvas.width(), canvas.height()}, kPaper);
  paste(canvas, drawn, kMargin, kMargin);
  const int line = std::max(2, zoom / 2);
  const PixelRect pane{kMargin + rect.x * zoom, kMargin + rect.y * zoom, rect.width * zoom, rect.height * zoom};
  fill(canvas, {pane.x - line, pane.y - line, pane.width + 2 * line, line}, kMark);
  fill(canvas, {pane.x - line, pane.y + pane.height, pane.width + 2 * line, line}, kMark);
  fill(canvas, {pane.x - line, pane.y, line, pane.height}, kMark);
  fill(canvas, {pane.x + pane.width, pane.y, line, pane.height}, kMark);

  const int left = 2 * kMargin + drawn.width(), top = kMargin + title_height;
  draw_text(canvas, left, kMargin, title, kInk, kTextScale);
  fill(canvas, {left, top, rect.width * cell + 1, rect.height * cell + 1}, kInk);  // seen between the pixels
  const Image pixels = to_rgb(picture);
  for (int y = 0; y < rect.height; ++y)
    for (int x = 0; x < rect.width; ++x) {
      // --pad: what lies outside the picture is zero.
      Color color;
      if (rect.y + y < picture.height && rect.x + x < picture.width) {
        const std::uint8_t* rgb = pixels.row(rect.y + y) + 3 * (rect.x + x);
        color = {rgb[0], rgb[1], rgb[2]};
      }
      fill(canvas, {left + x * cell + 1, top + y * cell + 1, dot, dot}, color);
    }
  return canvas;
}

/// The picture with the patches' edges over it, as lead holds the panes of a window, and each patch's token number; on
/// request one patch enlarged beside it.
Result<Image> draw_grid(const ImageView& picture, const PatchGrid& grid, int enlarged) {
  const PatchGridOptions& g = grid.options();
  const PixelRect last = grid.rect(grid.count() - 1);
  const int width = std::max(picture.width, last.x + last.width),
            height = std::max(picture.height, last.y + last.height);

  // Magnified until the longest number fits into a pane, unless that makes the picture huge.
  const int digits = static_cast<int>(std::to_string(grid.count() - 1).size());
  const int pane_width = std::min(g.stride_x, g.patch_width), pane_height = std::min(g.stride_y, g.patch_height);
  const int label_width = text_width(digits) + 6, label_height = kLetterAscent + 5;
  int zoom = std::max((label_width + pane_width) / pane_width, (label_height + pane_height) / pane_height);
  zoom = std::clamp(zoom, 1, std::max(1, kLargest / std::max(width, height)));
  const int fits = std::min(pane_width * zoom / label_width, pane_height * zoom / label_height);
  const int text_scale = std::clamp(fits / 2, 1, 4);

  Image canvas(width * zoom, height * zoom, PixelFormat::rgb8);
  fill(canvas, {0, 0, canvas.width(), canvas.height()}, {58, 60, 68});  // padding
  paste(canvas, to_rgb(picture), 0, 0, zoom);

  constexpr Color kLead{20, 22, 28}, kLetters{255, 255, 255};
  const int line = std::min(pane_width, pane_height) * zoom >= 24 ? 2 : 1;
  for (int token = 0; token < grid.count(); ++token) {
    const PixelRect pane = grid.rect(token);
    const int x = pane.x * zoom, y = pane.y * zoom, w = pane.width * zoom, h = pane.height * zoom;
    fill(canvas, {x, y, w, line}, kLead);
    fill(canvas, {x, y, line, h}, kLead);
    fill(canvas, {x, y + h - line / 2, w, line / 2}, kLead);
    fill(canvas, {x + w - line / 2, y, line / 2, h}, kLead);
  }
  // What no patch covers is dimmed: with --crop the right and bottom edge.
  const int covered_x = (last.x + last.width) * zoom, covered_y = (last.y + last.height) * zoom;
  fill(canvas, {covered_x, 0, canvas.width() - covered_x, canvas.height()}, kLead, 0.7);
  fill(canvas, {0, covered_y, covered_x, canvas.height() - covered_y}, kLead, 0.7);

  for (int token = 0; fits >= 1 && token < grid.count(); ++token) {
    const PixelRect pane = grid.rect(token);
    const int x = pane.x * zoom + line, y = pane.y * zoom + line;
    const std::string number = std::to_string(token);
    const int letters = static_cast<int>(number.size());
    fill(canvas, {x, y, text_width(letters, text_scale) + 4 * text_scale, (kLetterAscent + 4) * text_scale}, kLead,
         0.55);
    draw_text(canvas, x + 2 * text_scale, y + 2 * text_scale, number, kLetters, text_scale);
  }
  if (enlarged < 0) return canvas;
  return draw_patch(picture, grid, enlarged, canvas, zoom);
}

void tell(const Options& options, const std::string& path, const PatchGrid& grid) {
  const PatchGridOptions& g = grid.options();
  if (options.json) {
    print_json({{"image", path},
                {"height", g.height},
                {"width", g.width},
                {"channels", g.channels},
                {"patch", {g.patch_height, g.patch_width}},
                {"stride", {g.stride_y, g.stride_x}},
                {"rows", grid.rows()},
                {"columns", grid.columns()},
                {"count", grid.count()},
                {"patch_size", grid.patch_size()}});
  } else {
    std::fprintf(status_stream({options.out_file, options.extract_file}),
                 "%s  %d × %d × %d  →  %d × %d = %d patches of %d × %d, %zu bytes each\n", printable(path).c_str(),
                 g.height, g.width, g.channels, grid.rows(), grid.columns(), grid.count(), g.patch_height,
                 g.patch_width, grid.patch_size());
  }
}

/// Array of patches → picture. The picture's size comes from --size, or from the picture given with -i.
Status assemble_picture(const Options& options, Size picture) {
  const auto array = load_npy_u8(options.assemble_file);
  if (!array) return array.error();
  const Size patch = *parse_size(options.patch);
  const auto area = static_cast<std::size_t>(patch.height) * static_cast<std::size_t>(patch.width);
  const auto failed = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument, options.assemble_file + ": " + what};
  };
  if (array->shape.size() != 2) return failed("has " + std::to_string(array->shape.size()) + " dimensions, expected 2");
  const std::size_t count = array->shape[0], length = array->shape[1], channels = length / area;
  if (length % area != 0 || (channels != 1 && channels != 3 && channels != 4))
    return failed("patches of " + std::to_string(length) + " bytes, expected " + options.patch +
                  " squared or HxW times 1, 3 or 4");

  const auto grid = make_grid(options, picture, static_cast<int>(channels));
  if (!grid) return grid.error();
  if (static_cast<std::size_t>(grid->count()) != count)
    return failed(std::to_string(count) + " patches, expected " + std::to_string(grid->count()) + " for a picture of " +
                  std::to_string(picture.height) + " × " + std::to_string(picture.width));
  const PixelFormat format = channels == 1   ? PixelFormat::gray8
                             : channels == 3 ? PixelFormat::rgb8
                                             : PixelFormat::rgba8;
  Image image(picture.width, picture.height, format);
  assemble(*grid, array->data.data(), image.row(0), static_cast<std::ptrdiff_t>(image.row_bytes()));
  if (const Status good = save_png(image, options.out_file); !good) return good;
  tell(options, options.out_file, *grid);
  return {};
}

Status run(const Options& options) {
  if (const Status good = check_outputs({{"-o", options.out_file}, {"--extract", options.extract_file}},
                                        {{"--assemble", options.assemble_file}}, options.pictures.inputs);
      !good)
    return good;
  if (!options.assemble_file.empty() && !options.size.empty())
    return assemble_picture(options, *parse_size(options.size));

  const std::string& path = options.pictures.inputs.front();
  const auto image = load_image(path, {.apply_exif = !options.pictures.no_exif});
  if (!image) return image.error();
  const Size size{image->height(), image->width()};
  if (!options.assemble_file.empty()) return assemble_picture(options, size);

  const auto grid = make_grid(options, size, bytes_per_pixel(image->format()));
  if (!grid) return Error{grid.error().code, path + ": " + grid.error().message};
  if (options.token >= grid->count())
    return Error{ErrorCode::invalid_argument, path + ": --token: found " + std::to_string(options.token) +
                                                  ", expected 0 to " + std::to_string(grid->count() - 1)};
  if (!options.extract_file.empty()) {
    std::vector<std::uint8_t> patches(grid->size());
    patchify(*grid, image->row(0), static_cast<std::ptrdiff_t>(image->row_bytes()), patches.data());
    const std::size_t shape[] = {static_cast<std::size_t>(grid->count()), grid->patch_size()};
    if (const Status good = save_npy(options.extract_file, shape, patches); !good) return good;
  }
  if (!options.out_file.empty()) {
    const auto drawn = draw_grid(*image, *grid, options.token);
    if (!drawn) return drawn.error();
    if (const Status good = save_png(*drawn, options.out_file); !good) return good;
  }
  tell(options, path, *grid);
  return {};
}

void check_usage(const Options& options) {
  const auto refuse = [](const std::string& message) { throw CLI::ValidationError("patches", message); };
  if (options.pad && options.crop) refuse("--pad and --crop exclude each other");
  const bool assembles = !options.assemble_file.empty();
  if (assembles && options.out_file.empty()) refuse("--assemble needs -o, the picture to write");
  if (assembles && options.size.empty() && options.pictures.inputs.empty())
    refuse("--assemble needs the picture's size: --size HxW, or -i with a picture of that size");
  if (assembles && !options.extract_file.empty()) refuse("--assemble and --extract exclude each other");
  if (!assembles && !options.size.empty()) refuse("--size needs --assemble");
  if (options.token >= 0 && (assembles || options.out_file.empty())) refuse("--token needs -o, and no --assemble");
  if (!assembles && options.pictures.inputs.empty()) refuse("-i IMAGE is required");
  if (options.pictures.inputs.size() > 1) refuse("-i takes one picture here");
}

}  // namespace

void add_patches(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("patches", "Show, extract or assemble the patches of a picture");
  options->pictures.add_to(*command);
  command->get_option("--image")->required(false)->description(
      "Picture: a file (JPEG, PNG, WebP, PPM/PGM, .npy of u8 HxWxC)");
  command->add_option("-P,--patch", options->patch, "Patch size in pixels, 16 or HxW")
      ->check(size_up_to(4096))
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_option("--stride", options->stride, "From one patch to the next, N or HxW; default: the patch size")
      ->check(size_up_to(max_image_side))
      ->type_name("SIZE");
  command->add_flag("--pad", options->pad, "Complete patches at the right and bottom edge with zeros");
  command->add_flag("--crop", options->crop, "Leave out incomplete patches at the right and bottom edge");
  command
      ->add_option("-o", options->out_file, "Picture to write: the grid with token numbers, or what --assemble makes")
      ->type_name("F.png");
  command->add_option("--token", options->token, "Enlarge this patch to its pixels, beside the grid")
      ->check(CLI::Range(0, max_image_side * max_image_side - 1))
      ->type_name("N");
  command->add_option("--extract", options->extract_file, "Write the patches, u8 [N, P*P*C]")->type_name("F.npy");
  command->add_option("--assemble", options->assemble_file, "Read such an array and make the picture")
      ->type_name("F.npy");
  command->add_option("--size", options->size, "Size of the picture --assemble makes")
      ->check(size_up_to(max_image_side))
      ->type_name("HxW|N");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([options] {
    check_usage(*options);
    run(*options).value();
  });
}

}  // namespace vitrail::cli
