// Ring buffer records → runtime values: what a site's arguments were, which event it was, its
// argstr.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/unit.h"
#include "event/provider.h"
#include "runtime/heap.h"
#include "runtime/value.h"
#include "ssa/function.h"

namespace ktap::session {

/// One argument of a record. Maybe… gives nil for the tag 0; Bytes end at their first NUL.
runtime::Value decode_arg(const ssa::SiteArg& arg, const uint8_t* bytes, const ssa::Module& module,
                          runtime::Heap& heap);

/// What buf() gives: of the bytes that a record holds (nil: none) as many as were asked for.
runtime::Value buffer_of(const runtime::Value& bytes, const runtime::Value& count,
                         runtime::Heap& heap);

/// All arguments of a record of `site`, in order.
std::vector<runtime::Value> decode_args(const ssa::Site& site, const backend::SiteLayout& layout,
                                        const uint8_t* record, const ssa::Module& module,
                                        runtime::Heap& heap);

/// The event of `group` whose name has that id; null when there is none.
const schema::Event* event_named(const ssa::EventGroup& group, int64_t name_id);

/// The event of `group` that a record with a raw event belongs to; null when it is none of them.
const schema::Event* raw_event(const ssa::EventGroup& group, const backend::SiteLayout& layout,
                               const uint8_t* record);

/// argstr of a record with a raw event. Requires layout.raw_offset_bytes != 0.
std::string render_raw(event::Catalog& catalog, const ssa::EventGroup& group,
                       const schema::Event& event, const backend::SiteLayout& layout,
                       const uint8_t* record, size_t record_bytes, uint32_t cpu);

}  // namespace ktap::session
