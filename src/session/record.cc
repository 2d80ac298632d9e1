// Decoding of records, the reading side of backend/unit.h. Words are in the machine's own byte
// order.
#include "session/record.h"

#include <algorithm>
#include <cstring>

#include "runtime/string.h"

namespace ktap::session {

namespace {

int64_t word(const uint8_t* bytes) {
  int64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

runtime::Value decode_arg(const ssa::SiteArg& arg, const uint8_t* bytes, const ssa::Module& module,
                          runtime::Heap& heap) {
  if (ssa::is_maybe(arg.type)) {
    if (word(bytes) == 0) return runtime::Value::nil();
    bytes += 8;
  }
  switch (arg.type) {
    case ssa::Type::Int:
    case ssa::Type::MaybeInt:
      return runtime::Value::of(word(bytes));
    case ssa::Type::Bool:
    case ssa::Type::MaybeBool:
      return runtime::Value::of(word(bytes) != 0);
    case ssa::Type::Str:
    case ssa::Type::MaybeStr: {
      if (arg.str_kind == ssa::StrKind::Id) {
        const auto id = static_cast<size_t>(word(bytes));
        KTAP_CHECK(id < module.strings.size());
        return heap.string(module.strings[id]);
      }
      const char* text = reinterpret_cast<const char*>(bytes);
      if (arg.is_raw) return heap.string(std::string_view(text, arg.max_bytes));
      return heap.string(std::string_view(text, strnlen(text, arg.max_bytes)));
    }
    case ssa::Type::Stack:
    case ssa::Type::MaybeStack: {
      std::vector<uint64_t> words(arg.max_bytes / 8);
      std::memcpy(words.data(), bytes, arg.max_bytes);
      return heap.stack(words.data(), words.size());
    }
    case ssa::Type::Union:
    case ssa::Type::None:
      break;
  }
  KTAP_UNREACHABLE();
}

runtime::Value buffer_of(const runtime::Value& bytes, const runtime::Value& count,
                         runtime::Heap& heap) {
  if (bytes.is_nil()) return bytes;
  return heap.string(bytes.string()->view().substr(0, static_cast<size_t>(count.integer)));
}

std::vector<runtime::Value> decode_args(const ssa::Site& site, const backend::SiteLayout& layout,
                                        const uint8_t* record, const ssa::Module& module,
                                        runtime::Heap& heap) {
  KTAP_CHECK(layout.arg_offset_bytes.size() == site.args.size());
  std::vector<runtime::Value> values;
  values.reserve(site.args.size());
  for (size_t i = 0; i < site.args.size(); ++i) {
    values.push_back(decode_arg(site.args[i], record + layout.arg_offset_bytes[i], module, heap));
  }
  return values;
}

const schema::Event* event_named(const ssa::EventGroup& group, int64_t name_id) {
  const auto at = std::find(group.name_ids.begin(), group.name_ids.end(), name_id);
  return at == group.name_ids.end()
             ? nullptr
             : group.events[static_cast<size_t>(at - group.name_ids.begin())].get();
}

const schema::Event* raw_event(const ssa::EventGroup& group, const backend::SiteLayout& layout,
                               const uint8_t* record) {
  if (group.events.size() == 1) return group.events.front().get();
  if (layout.raw_offset_bytes == 0) return nullptr;
  if (backend::raw_event_has_cookie(group))
    return event_named(group, static_cast<uint32_t>(word(record + layout.raw_offset_bytes)));
  if (!schema::is_syscall(group.kind)) return nullptr;
  const int64_t number = word(record + layout.raw_offset_bytes);
  for (const schema::EventPtr& event : group.events) {
    if (event->syscall_nr == number) return event.get();
  }
  return nullptr;
}

std::string render_raw(event::Catalog& catalog, const ssa::EventGroup& group,
                       const schema::Event& event, const backend::SiteLayout& layout,
                       const uint8_t* record, size_t record_bytes, uint32_t cpu) {
  KTAP_CHECK(layout.raw_offset_bytes != 0);
  const uint8_t* raw = record + layout.raw_offset_bytes;
  if (event.kind != schema::EventKind::Tracepoint) {
    size_t count = event.kind == schema::EventKind::SyscallEnter ? 7 : 2;
    if (schema::gives_registers(event.kind)) count = event.own_fields();
    if (backend::raw_event_has_cookie(group)) raw += sizeof(uint64_t);
    std::vector<uint64_t> words(std::max(count, event.fields.size()));
    std::memcpy(words.data(), raw, count * sizeof(uint64_t));
    return catalog.render_words(event, words.data());
  }
  uint32_t length = 0;
  std::memcpy(&length, raw, sizeof length);
  KTAP_CHECK(layout.raw_offset_bytes + 8 + length <= record_bytes);
  return catalog.render_record(event, raw + 8, length, static_cast<int>(cpu));
}

}  // namespace ktap::session
