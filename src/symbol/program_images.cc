// A program is told from those before and behind it by time. Behind records that were lost an exec
// may be among them: then nothing is known of a process until it runs another program.
#include "symbol/program_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

namespace ktap::symbol {

using sys::MapRecord;

namespace {

constexpr ptrdiff_t kMostFormer = 64;        // guessed: plugins that come and go
constexpr size_t kMostMappingsOfOne = 4096;  // guessed: a JIT compiler's may be many

}  // namespace

void ProgramImages::keep_only(pid_t process, bool follow) {
  kept_.assign(static_cast<size_t>(process) + 1, false);
  kept_[static_cast<size_t>(process)] = true;
  follows_ = follow;
}

bool ProgramImages::is_kept(pid_t pid) const {
  return kept_.empty() ||
         (static_cast<size_t>(pid) < kept_.size() && kept_[static_cast<size_t>(pid)]);
}

bool ProgramImages::concerns(const MapRecord& record) {
  if (kept_.empty() || record.kind == MapRecord::Kind::Lost) return true;
  if (record.kind == MapRecord::Kind::Forked && follows_) {
    const auto child = static_cast<size_t>(record.pid);
    if (child >= kept_.size()) kept_.resize(child + 1, false);
    kept_[child] = is_kept(record.parent);
  }
  return is_kept(record.pid);
}

void ProgramImages::add(const MapRecord& record) {
  if (record.pid < 0 || !concerns(record)) return;
  switch (record.kind) {
    case MapRecord::Kind::Mapped:
      return add_mapping(record);
    case MapRecord::Kind::Executed:
      return begin_program(record);
    case MapRecord::Kind::Forked:
      return begin_process(record);
    case MapRecord::Kind::Lost:
      return forget_open_ones(record);
  }
}

/// The regions count as long as somebody has them.
std::shared_ptr<ProgramImages::Regions> ProgramImages::make_regions(Regions regions) {
  *mappings_ += regions.size();
  return {new Regions(std::move(regions)), [all = mappings_](Regions* gone) {
            *all -= gone->size();
            delete gone;
          }};
}

void ProgramImages::append(pid_t pid, Span span) {
  Life& life = lives_[pid];
  if (!life.empty()) {
    Span& before = life.back();
    before.end_ns = std::min(before.end_ns, span.begin_ns);
    if (span.parent == 0) span.parent = before.parent;
  }
  if (span.begin_ns < lost_until_ns_) span.end_ns = span.begin_ns;
  order_.emplace_back(pid, span.begin_ns);
  life.push_back(std::move(span));
  while (order_.size() > most_programs_) drop_oldest();
}

void ProgramImages::drop_oldest() {
  const auto [pid, begin_ns] = order_.front();
  order_.pop_front();
  const auto entry = lives_.find(pid);
  if (entry == lives_.end()) return;
  Life& life = entry->second;
  const auto span = std::find_if(life.begin(), life.end(),
                                 [begin = begin_ns](const Span& s) { return s.begin_ns == begin; });
  if (span != life.end()) life.erase(span);
  if (life.empty()) lives_.erase(entry);
}

void ProgramImages::begin_program(const MapRecord& record) {
  Span span;
  span.begin_ns = record.time_ns;
  span.is_whole = true;
  span.code = make_regions({});
  append(record.pid, std::move(span));
}

void ProgramImages::begin_process(const MapRecord& record) {
  Span span;
  span.begin_ns = record.time_ns;
  span.parent = record.parent;
  span.is_birth = true;
  if (const Span* parent = find(record.parent, record.time_ns)) {
    span.is_whole = parent->is_whole;
    span.code = parent->code;
  } else {
    span.code = make_regions({});
  }
  append(record.pid, std::move(span));
}

/// Whether both are the same code at the same place.
bool ProgramImages::agree(const Region& a, const Region& b) {
  if (a.file != b.file) return false;
  return a.file->inode == 0 || a.file_offset - a.begin == b.file_offset - b.begin;
}

/// What `above` leaves of those that it meets, and itself: in pieces where it takes the place of
/// other code.
ProgramImages::Regions ProgramImages::laid_over(const Region* first, const Region* behind,
                                                const Region& above) {
  Regions all;
  if (first != behind && first->begin < above.begin) {
    all.push_back(*first);
    all.back().end = above.begin;
  }
  const size_t own = all.size();
  uint64_t at = above.begin;
  const auto add = [&](uint64_t end, const std::shared_ptr<const File>& before) {
    if (at >= end) return;
    if (before != nullptr) ++replacements_;
    if (all.size() > own && all.back().before == before) {
      all.back().end = end;
    } else {
      all.push_back(
          {at, end, above.file_offset + (at - above.begin), above.file, before, above.since_ns});
    }
    at = end;
  };
  for (const Region* old = first; old != behind; ++old) {
    add(old->begin, nullptr);
    add(std::min(old->end, above.end), agree(*old, above) ? old->before : old->file);
  }
  add(above.end, nullptr);
  if (first != behind && (behind - 1)->end > above.end) {
    all.push_back(*(behind - 1));
    all.back().file_offset += above.end - all.back().begin;
    all.back().begin = above.end;
  }
  return all;
}

/// Of a process that was there before, or behind a loss, the program is none that is known.
void ProgramImages::add_mapping(const MapRecord& record) {
  const Span* found = find(record.pid, record.time_ns);
  if (found == nullptr) {
    if (record.time_ns < lost_until_ns_) return;
    Span span;
    span.begin_ns = lost_until_ns_;
    const auto life = lives_.find(record.pid);
    if (life != lives_.end()) span.begin_ns = std::max(span.begin_ns, life->second.back().end_ns);
    if (span.begin_ns > record.time_ns) return;
    span.code = make_regions({});
    append(record.pid, std::move(span));
    found = find(record.pid, record.time_ns);
    if (found == nullptr) return;
  }
  Span& span = lives_[record.pid][static_cast<size_t>(found - lives_[record.pid].data())];
  if (span.code.use_count() > 1) span.code = make_regions(*span.code);
  Regions& regions = *span.code;
  const size_t before = regions.size();
  if (before >= kMostMappingsOfOne) return;
  // What lay there is gone, or what is cut off of it.
  const auto first = std::find_if(regions.begin(), regions.end(),
                                  [&](const Region& r) { return r.end > record.begin; });
  const auto behind =
      std::find_if(first, regions.end(), [&](const Region& r) { return r.begin >= record.end; });
  const Region* const none = regions.data();
  const Region above{record.begin,  record.end, record.file_offset,
                     share(record), nullptr,    record.time_ns};
  const Regions instead =
      laid_over(none + (first - regions.begin()), none + (behind - regions.begin()), above);
  for (auto old = first; old != behind; ++old) {
    if (old->file->inode != 0) span.former.push_back({*old, record.time_ns});
  }
  if (std::ssize(span.former) > kMostFormer)
    span.former.erase(span.former.begin(), span.former.end() - kMostFormer);
  span.mapped_ns = record.time_ns;
  regions.insert(regions.erase(first, behind), instead.begin(), instead.end());
  *mappings_ += regions.size() - before;
  while (*mappings_ > most_mappings_ && order_.size() > 1) drop_oldest();
}

/// Programs that began within that time are not whole either.
void ProgramImages::forget_open_ones(const MapRecord& record) {
  lost_until_ns_ = std::max(lost_until_ns_, record.until_ns);
  for (auto& [pid, life] : lives_) {
    Span& last = life.back();
    if (last.end_ns > record.time_ns) last.end_ns = std::max(last.begin_ns, record.time_ns);
  }
}

std::shared_ptr<const ProgramImages::File> ProgramImages::share(const MapRecord& record) {
  std::weak_ptr<const File>& known =
      files_[fmt::format("{:x}:{:x}:{}", record.device, record.inode, record.path)];
  std::shared_ptr<const File> file = known.lock();
  if (file == nullptr) {
    file = std::make_shared<const File>(File{record.path, record.device, record.inode});
    known = file;
  }
  if (files_.size() > files_to_look_at_) {
    std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });
    files_to_look_at_ = std::max<size_t>(64, 2 * files_.size());
  }
  return file;
}

const ProgramImages::Span* ProgramImages::find(pid_t pid, uint64_t time_ns) const {
  const auto life = lives_.find(pid);
  if (life == lives_.end()) return nullptr;
  for (auto span = life->second.rbegin(); span != life->second.rend(); ++span) {
    if (span->begin_ns <= time_ns) return time_ns < span->end_ns ? &*span : nullptr;
  }
  return nullptr;
}

ProgramImages::Program ProgramImages::program_of(const Regions& regions, bool is_whole) {
  Program program;
  program.is_whole = is_whole;
  for (const Region& region : regions) {
    Mapping mapping = name_mapping(region.file->path, region.file->inode);
    mapping.begin = region.begin;
    mapping.end = region.end;
    mapping.file_offset = region.file_offset;
    mapping.device = region.file->device;
    mapping.is_executable = true;
    mapping.is_recorded = true;
    mapping.seen_ns = region.since_ns;
    if (region.before != nullptr) {
      mapping.path_before = region.before->path;
      mapping.since_ns = region.since_ns;
    }
    program.code.push_back(std::move(mapping));
  }
  return program;
}

std::optional<ProgramImages::Program> ProgramImages::at(pid_t pid, uint64_t time_ns) const {
  const Span* span = find(pid, time_ns);
  if (span == nullptr) return std::nullopt;
  return program_of(*span->code, span->is_whole);
}

std::optional<Mapping> ProgramImages::replaced(pid_t pid, uint64_t address,
                                               uint64_t time_ns) const {
  const Span* span = find(pid, time_ns);
  if (span == nullptr) return std::nullopt;
  for (const auto& [region, until_ns] : span->former) {
    const bool is_there = region.begin <= address && address < region.end;
    if (!is_there || time_ns < region.since_ns || time_ns >= until_ns) continue;
    Region alone = region;
    alone.before = nullptr;
    return program_of({alone}, false).code.front();
  }
  return std::nullopt;
}

std::optional<ProgramImages::Program> ProgramImages::ever(pid_t pid, bool from_birth) const {
  const auto entry = lives_.find(pid);
  if (entry == lives_.end()) return std::nullopt;
  const Life& life = entry->second;
  for (size_t i = 0; i < life.size() && from_birth; ++i) {
    const bool is_gap = i > 0 && life[i - 1].end_ns != life[i].begin_ns;
    if (is_gap || (i == 0 && !life[i].is_birth) || life[i].end_ns == life[i].begin_ns)
      return std::nullopt;
  }
  if (from_birth && life.back().end_ns != UINT64_MAX) return std::nullopt;
  // By address; of two that meet both go, unless they agree.
  Regions all;
  for (const Span& span : life) all.insert(all.end(), span.code->begin(), span.code->end());
  std::sort(all.begin(), all.end(), [](const Region& a, const Region& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  Regions agreed;
  bool drops = false;
  uint64_t end = 0;
  for (Region& region : all) {
    if (!agreed.empty() && region.begin < end) {
      Region& before = agreed.back();
      if (!drops && agree(before, region)) {
        end = before.end = std::max(before.end, region.end);
        if (before.before == nullptr) before.before = region.before;
      } else {
        drops = true;
        end = std::max(end, region.end);
      }
      continue;
    }
    if (drops) agreed.pop_back();
    drops = false;
    end = region.end;
    agreed.push_back(std::move(region));
  }
  if (drops) agreed.pop_back();
  const bool is_whole =
      std::all_of(life.begin(), life.end(), [](const Span& span) { return span.is_whole; });
  return program_of(agreed, is_whole);
}

uint64_t ProgramImages::last_mapped_ns(pid_t pid) const {
  const auto life = lives_.find(pid);
  return life == lives_.end() ? 0 : life->second.back().mapped_ns;
}

pid_t ProgramImages::parent_of(pid_t pid) const {
  const auto life = lives_.find(pid);
  return life == lives_.end() ? 0 : life->second.back().parent;
}

}  // namespace ktap::symbol
