// argstr: the one-line text of an event (language, section 7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "schema/event.h"

namespace ktap::event {

/// The field only says what another one's word means: it has no number.
bool says_what_another_means(const schema::Event& event, size_t index);
/// Of no form, or an argument whose word the compiler has put to another use.
bool has_no_place(const schema::Event& event, const schema::Field& field);

/// The seeds' form: `sys_read(fd: 3, buf: 7ffd8c90, count: 1000)`, every argument in hex of its
/// declared width; `sys_read -> 0x20`. `words` is the number, then 6 arguments or the result. Pure.
std::string syscall_text(const schema::Event& event, const uint64_t* words);

/// The same of a system call that is traced as a tracepoint, from its record.
std::string syscall_record_text(const schema::Event& event, const uint8_t* data, size_t size_bytes);

/// Other events by their kernel's print format, through libtraceevent.
class RecordRenderer {
 public:
  RecordRenderer();
  ~RecordRenderer();
  RecordRenderer(const RecordRenderer&) = delete;
  RecordRenderer& operator=(const RecordRenderer&) = delete;

  /// True once add_format took this event's format.
  bool knows(const schema::Event& event) const;
  /// `format` is the text of the event's format file.
  void add_format(const schema::Event& event, std::string_view format);
  /// The record's text without the event's name. The common header may hold anything: a program on
  /// a perf tracepoint cannot read its first 8 bytes.
  std::string text(const schema::Event& event, const uint8_t* data, size_t size_bytes, int cpu);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ktap::event
