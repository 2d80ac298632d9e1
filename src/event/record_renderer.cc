// Records of tracepoints as text, by the kernel's own print formats. libtraceevent trusts a
// record's inner offsets; a record that was cut on its way is mended before it sees it.
#include <traceevent/event-parse.h>
#include <traceevent/trace-seq.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "event/render.h"
#include "symbol/kallsyms.h"

namespace ktap::event {

namespace {

/// Dynamic fields that a cut record no longer holds become empty or shorter: libtraceevent follows
/// offsets without a look at the size. `size_bytes` of `record` are real, zeroes follow them.
void clamp_dynamic_fields(const schema::Event& event, uint8_t* record, size_t size_bytes) {
  for (const schema::Field& field : event.fields) {
    const bool is_relative = field.c_type.compare(0, 10, "__rel_loc ") == 0;
    const bool is_absolute = field.c_type.compare(0, 11, "__data_loc ") == 0;
    if (!is_relative && !is_absolute) continue;
    uint32_t word = 0;
    std::memcpy(&word, record + field.offset_bytes, sizeof word);
    const uint32_t base = is_relative ? field.offset_bytes + 4 : 0;
    uint32_t begin = base + (word & 0xffff);
    uint32_t length = word >> 16;
    if (begin + length <= size_bytes) continue;
    if (begin > size_bytes) begin = static_cast<uint32_t>(size_bytes);
    length = static_cast<uint32_t>(size_bytes) - begin;
    word = length << 16 | (begin - base);
    std::memcpy(record + field.offset_bytes, &word, sizeof word);
  }
}

/// What libtraceevent writes before the fields where a format is beyond it: they say enough.
constexpr std::string_view kBeyondIt = "[FAILED TO PARSE]";

/// The names of addresses in the kernel (`%pS`), which are read when a record first has one.
class FunctionNames {
 public:
  /// libtraceevent's resolver; `names` is a FunctionNames. Sets `address` to where the function
  /// begins. Null: no function is known there.
  static char* resolve(void* names, unsigned long long* address, char** module) {
    return static_cast<FunctionNames*>(names)->find(address, module);
  }

 private:
  char* find(unsigned long long* address, char** module) {
    if (!was_read_) {
      was_read_ = true;
      Result<symbol::Kallsyms> symbols = symbol::Kallsyms::read();
      if (symbols.ok()) symbols_.emplace(std::move(symbols).value());
    }
    const auto place = symbols_ ? symbols_->at(*address) : std::nullopt;
    if (!place.has_value()) return nullptr;
    *address = place->symbol.address;
    name_ = place->symbol.name;
    module_ = place->symbol.module;
    *module = module_.empty() ? nullptr : module_.data();
    return name_.data();
  }

  bool was_read_ = false;
  std::optional<symbol::Kallsyms> symbols_;
  std::string name_, module_;  // of the last one
};

}  // namespace

struct RecordRenderer::Impl {
  tep_handle* tep = nullptr;
  trace_seq seq = {};
  std::unordered_map<int32_t, tep_event*>
      events;  // by tracefs id; null: libtraceevent could not read it
  std::vector<uint8_t> copy;
  FunctionNames names;
};

RecordRenderer::RecordRenderer() : impl_(std::make_unique<Impl>()) {
  tep_set_loglevel(TEP_LOG_NONE);  // it would print to our standard error
  impl_->tep = tep_alloc();
  KTAP_CHECK(impl_->tep != nullptr);
  tep_set_page_size(impl_->tep, static_cast<int>(sysconf(_SC_PAGESIZE)));
  tep_set_long_size(impl_->tep, sizeof(long));
  tep_set_function_resolver(impl_->tep, FunctionNames::resolve, &impl_->names);
  trace_seq_init(&impl_->seq);
}

RecordRenderer::~RecordRenderer() {
  trace_seq_destroy(&impl_->seq);
  tep_free(impl_->tep);
}

bool RecordRenderer::knows(const schema::Event& event) const {
  return impl_->events.count(event.tracefs_id) != 0;
}

void RecordRenderer::add_format(const schema::Event& event, std::string_view format) {
  tep_parse_event(impl_->tep, format.data(), format.size(), event.system.c_str());
  impl_->events[event.tracefs_id] = tep_find_event(impl_->tep, event.tracefs_id);
}

std::string RecordRenderer::text(const schema::Event& event, const uint8_t* data, size_t size_bytes,
                                 int cpu) {
  const auto found = impl_->events.find(event.tracefs_id);
  if (found == impl_->events.end() || found->second == nullptr) {
    return "[a print format that cannot be read]";
  }
  std::vector<uint8_t>& copy = impl_->copy;
  copy.assign(data, data + size_bytes);
  const size_t least = event.record_size_bytes > 8 ? event.record_size_bytes : 8;
  if (copy.size() < least) copy.resize(least);
  const size_t real_bytes = copy.size();
  copy.resize(real_bytes + 8);
  clamp_dynamic_fields(event, copy.data(), real_bytes);
  const uint16_t type = static_cast<uint16_t>(event.tracefs_id);
  std::memset(copy.data(), 0, 8);
  std::memcpy(copy.data(), &type, sizeof type);

  tep_record record = {};
  record.data = copy.data();
  record.size = static_cast<int>(copy.size());
  record.cpu = cpu;
  trace_seq_reset(&impl_->seq);
  tep_print_event(impl_->tep, &impl_->seq, &record, "%s", TEP_PRINT_INFO);
  trace_seq_terminate(&impl_->seq);
  std::string out = impl_->seq.buffer;
  if (out.compare(0, kBeyondIt.size(), kBeyondIt) == 0) out.erase(0, kBeyondIt.size() + 1);
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  return out;
}

}  // namespace ktap::event
