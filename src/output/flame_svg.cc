// See flame_svg.h. The boxes are written where a window of 1200 columns has them; the script moves
// them by the counts in `data-s` (where a box begins) and `data-n` (how wide it is).
#include "output/flame_svg.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "output/page_texts.h"
#include "output/svg.h"
#include "runtime/picture.h"

namespace ktap::output {
namespace {

constexpr double kWidth = 1200;
constexpr double kSide = 20;
constexpr size_t kTop = 92;
constexpr size_t kRow = 19;
constexpr size_t kBottom = 52;
constexpr double kLetter = 6.6;  // of 11 px in the usual fixed-width fonts
constexpr uint64_t kLeastPart = 10'000;

struct Box {
  std::string_view name;
  std::string_view place;
  char kind = 'p';
  size_t depth = 0;
  uint64_t start = 0;
  uint64_t count = 0;
};

char kind_letter(FrameKind kind) {
  switch (kind) {
    case FrameKind::Part:
      return 'p';
    case FrameKind::Program:
      return 'u';
    case FrameKind::Library:
      return 'l';
    case FrameKind::Kernel:
      return 'k';
    case FrameKind::Unknown:
      break;
  }
  return 'x';
}

/// The paths are in order: a box ends where the next path leaves it.
std::vector<Box> boxes_of(const Flame& flame) {
  std::vector<Box> boxes = {{"all", "", 'p', 0, 0, flame.total}};
  std::vector<size_t> open = {0};  // by depth
  const std::vector<uint32_t> none;
  const std::vector<uint32_t>* before = &none;
  uint64_t at = 0;
  for (const Flame::Path& path : flame.paths) {
    size_t common = 0;
    while (common < before->size() && common < path.frames.size() &&
           (*before)[common] == path.frames[common]) {
      ++common;
    }
    open.resize(common + 1);
    for (size_t i = 1; i < open.size(); ++i) boxes[open[i]].count += path.count;
    for (size_t i = common; i < path.frames.size(); ++i) {
      const Frame& frame = flame.frames[path.frames[i]];
      open.push_back(boxes.size());
      boxes.push_back({frame.name, frame.place, kind_letter(frame.kind), i + 1, at, path.count});
    }
    at += path.count;
    before = &path.frames;
  }
  return boxes;
}

/// As many letters of `text` as fit, the last one `…` when some do not.
std::string fitted(std::string_view text, double width) {
  const auto letters = static_cast<size_t>(std::max(0.0, (width - 8) / kLetter));
  if (runtime::text_columns(text) <= letters) return std::string(text);
  return letters < 3 ? "" : std::string(runtime::first_columns(text, letters - 1)) + "…";
}

/// One of five shades, the same for a name in every picture.
unsigned shade(std::string_view name) {
  uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return (hash >> 8) % 5;
}

void append_box(std::string& out, const Box& box, uint64_t total, size_t rows) {
  const double scale = (kWidth - 2 * kSide) / static_cast<double>(total);
  const double x = kSide + static_cast<double>(box.start) * scale;
  const double width = static_cast<double>(box.count) * scale;
  const size_t y = kTop + (rows - 1 - box.depth) * kRow;
  fmt::format_to(std::back_inserter(out),
                 R"(<g class="{}{}" data-s="{}" data-n="{}" data-d="{}"><title>)", box.kind,
                 shade(box.name), box.start, box.count, box.depth);
  append_xml(out, box.name);
  out += '\n';
  append_xml(out, box.place);
  fmt::format_to(std::back_inserter(out),
                 "\n{}, {}</title><rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\"/>",
                 grouped(box.count), percent(box.count, total), x, y, std::max(width - 0.6, 0.2),
                 kRow - 1);
  const std::string name = fitted(box.name, width);
  if (!name.empty()) {
    fmt::format_to(std::back_inserter(out), "<text x=\"{:.2f}\" y=\"{}\">", x + 4, y + 13);
    append_xml(out, name);
    out += "</text>";
  }
  out += "</g>\n";
}

void append_legend(std::string& out, const std::vector<Box>& boxes, size_t y) {
  constexpr struct {
    char kind;
    const char* text;
  } kRows[] = {{'u', "program"}, {'l', "library"}, {'k', "kernel"}, {'x', "unknown"}};
  double x = kSide;
  for (const auto& row : kRows) {
    const bool is_there = std::any_of(boxes.begin(), boxes.end(),
                                      [&](const Box& box) { return box.kind == row.kind; });
    if (!is_there) continue;
    fmt::format_to(std::back_inserter(out),
                   "<g class=\"{}0\"><rect x=\"{:.0f}\" y=\"{}\" width=\"12\" height=\"12\"/></g>"
                   "<text class=\"soft\" x=\"{:.0f}\" y=\"{}\">{}</text>\n",
                   row.kind, x, y, x + 18, y + 10, row.text);
    x += 84;
  }
}

void append_head(std::string& out, const Flame& flame, std::string_view title, size_t height) {
  fmt::format_to(std::back_inserter(out),
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1}\" "
                 "viewBox=\"0 0 {0:.0f} {1}\" data-total=\"{2}\">\n<title>",
                 kWidth, height, flame.total);
  append_xml(out, title);
  out.append("</title>\n<style>").append(kPictureStyle).append(kFlameStyle).append("</style>\n");
  out += "<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";
  fmt::format_to(std::back_inserter(out), "<text class=\"title\" x=\"{:.0f}\" y=\"38\">", kSide);
  append_xml(out, title);
  out += "</text>\n";
}

}  // namespace

std::string flame_svg(const Flame& flame, std::string_view title) {
  std::vector<Box> boxes = boxes_of(flame);
  const size_t all = boxes.size();
  boxes.erase(std::remove_if(boxes.begin() + 1, boxes.end(),
                             [&](const Box& box) { return box.count < flame.total / kLeastPart; }),
              boxes.end());
  size_t rows = 1;
  for (const Box& box : boxes) rows = std::max(rows, box.depth + 1);
  const size_t height = kTop + rows * kRow + kBottom;
  std::string out;
  append_head(out, flame, title, height);
  std::string about = fmt::format("{} in {} {}", grouped(flame.total), grouped(flame.paths.size()),
                                  flame.paths.size() == 1 ? "stack" : "stacks");
  if (boxes.size() < all) {
    about += fmt::format("; {} of {} frames are below 0.01 % and not drawn",
                         grouped(all - boxes.size()), grouped(all));
  }
  fmt::format_to(std::back_inserter(out),
                 "<text class=\"soft\" id=\"about\" x=\"{:.0f}\" y=\"60\">{}</text>\n", kSide,
                 about);
  out += "<g class=\"frames\" id=\"frames\">\n";
  if (flame.total > 0) {
    for (const Box& box : boxes) append_box(out, box, flame.total, rows);
  }
  out += "</g>\n<g class=\"frames\">\n";
  append_legend(out, boxes, height - 32);
  out.append("</g>\n<script><![CDATA[").append(kFlameScript).append("]]></script>\n</svg>\n");
  return out;
}

}  // namespace ktap::output
