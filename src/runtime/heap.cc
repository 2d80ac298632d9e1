// The collector marks with an explicit stack, so depth costs no C++ stack, and looks at big tables
// in pieces. Short strings are interned in a chained hash table; one that is found there while its
// turn to be swept has not come lives on.
#include "runtime/heap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/limits.h"
#include "runtime/aggregate.h"
#include "runtime/closure.h"
#include "runtime/code_address.h"
#include "runtime/histogram.h"
#include "runtime/iterator.h"
#include "runtime/kernel_pointer.h"
#include "runtime/stack.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

constexpr size_t kFirstThreshold = size_t{1} << 20;  // guessed: who makes little never collects
constexpr size_t kSliceBytes = size_t{64} << 10;     // allocated between two slices
// Of work for each kSliceBytes: about 0.1 ms. With objects of 50 bytes and more a cycle ends before
// the script has added two thirds to what was there.
constexpr int64_t kSliceUnits = 4000;
constexpr int64_t kMaxSlices = 16;  // at once, after a big allocation

size_t closure_bytes(const Closure& closure) {
  return sizeof(Closure) + closure.upvalues.capacity() * sizeof(Cell*);
}

uint32_t hash_part(Value part) {
  if (part.type == Type::String) return part.string()->hash();
  if (part.type == Type::Stack) return part.stack()->hash();
  part = plain_number(part);  // equal to one, so of the same hash
  // A part that is no key, or only equal to one by value (1.0 to 1), never helps to find a tuple.
  if (part.is_object() || part.type == Type::Float) return 0;
  auto x = static_cast<uint64_t>(part.integer);
  return static_cast<uint32_t>(x ^ (x >> 32));
}

}  // namespace

uint32_t hash_bytes(std::string_view bytes) {
  // FNV-1a, eight bytes a step, finished by MurmurHash3's mixer.
  uint64_t hash = 0xcbf29ce484222325ULL ^ bytes.size();
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x100000001b3ULL;
    hash ^= hash >> 29;
  }
  uint64_t rest = 0;
  std::memcpy(&rest, at, left);
  hash = (hash ^ rest) * 0x100000001b3ULL;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

void String::compute_hash() const {
  hash_ = hash_bytes(view());
  hashed_ = true;
}

Heap::Heap() : threshold_(kFirstThreshold), next_slice_(kFirstThreshold), pool_(256, nullptr) {}

Heap::~Heap() {
  while (objects_ != nullptr) {
    Object* next = objects_->next;
    destroy(objects_);
    objects_ = next;
  }
}

void Heap::link(Object* object, size_t bytes) {
  object->mark = current_;
  object->next = objects_;
  objects_ = object;
  bytes_ += bytes;
  ++object_count_;
}

String* Heap::make_string(std::string_view bytes) {
  KTAP_CHECK(bytes.size() < UINT32_MAX);
  size_t size = sizeof(String) + bytes.size();
  auto* string = new (memory_.take(size)) String();
  string->size_ = static_cast<uint32_t>(bytes.size());
  if (!bytes.empty()) std::memcpy(static_cast<void*>(string + 1), bytes.data(), bytes.size());
  link(string, size);
  return string;
}

String* Heap::intern(std::string_view bytes) {
  uint32_t hash = hash_bytes(bytes);
  for (String* s = pool_[hash & (pool_.size() - 1)]; s != nullptr; s = s->chain_) {
    if (s->hash_ == hash && s->view() == bytes) {
      s->mark = current_;
      return s;
    }
  }
  if (pool_count_ >= pool_.size()) grow_pool();
  String* string = make_string(bytes);
  string->hash_ = hash;
  string->hashed_ = true;
  String*& bucket = pool_[hash & (pool_.size() - 1)];
  string->chain_ = bucket;
  bucket = string;
  ++pool_count_;
  return string;
}

void Heap::grow_pool() {
  std::vector<String*> bigger(pool_.size() * 2, nullptr);
  for (String* s : pool_) {
    while (s != nullptr) {
      String* next = s->chain_;
      String*& bucket = bigger[s->hash_ & (bigger.size() - 1)];
      s->chain_ = bucket;
      bucket = s;
      s = next;
    }
  }
  pool_.swap(bigger);
}

Value Heap::string(std::string_view bytes) {
  String* string = bytes.size() <= String::kMaxInterned ? intern(bytes) : make_string(bytes);
  return Value::of_object(Type::String, string);
}

Value Heap::tuple(const Value* parts, size_t count) {
  KTAP_CHECK(count >= 2 && count <= static_cast<size_t>(limits::kMaxKeyParts));
  size_t size = sizeof(Tuple) + count * sizeof(Value);
  auto* tuple = new (memory_.take(size)) Tuple();
  tuple->size_ = static_cast<uint32_t>(count);
  auto* into = reinterpret_cast<Value*>(tuple + 1);
  uint32_t hash = static_cast<uint32_t>(count);
  for (size_t i = 0; i < count; ++i) {
    KTAP_CHECK(parts[i].type != Type::Tuple);
    shade(parts[i]);
    new (into + i) Value(parts[i]);
    tuple->valid_key_ = tuple->valid_key_ && Table::valid_key(parts[i]);
    hash = (hash ^ hash_part(parts[i])) * 0x9e3779b1u;
    hash ^= hash >> 15;
  }
  tuple->hash_ = hash;
  link(tuple, size);
  return Value::of_object(Type::Tuple, tuple);
}

Table* Heap::table() {
  auto* table = new (memory_.take(sizeof(Table))) Table();
  table->heap_ = this;
  link(table, sizeof(Table));
  return table;
}

Closure* Heap::closure(size_t upvalue_count) {
  size_t bytes = sizeof(Closure) + upvalue_count * sizeof(Cell*);
  auto* closure = new (memory_.take(bytes)) Closure(upvalue_count);
  link(closure, bytes);
  return closure;
}

Cell* Heap::cell() {
  auto* cell = new (memory_.take(sizeof(Cell))) Cell();
  link(cell, sizeof(Cell));
  return cell;
}

Aggregate* Heap::aggregate() {
  auto* aggregate = new Aggregate();
  aggregate->heap_bytes_ = &bytes_;
  aggregate->source_ = &sample_source_;
  link(aggregate, sizeof(Aggregate));
  return aggregate;
}

Histogram* Heap::histogram(Distribution distribution) {
  auto* histogram = new Histogram(std::move(distribution));
  link(histogram, histogram->memory_bytes());
  return histogram;
}

Value Heap::pointer(int64_t address, uint32_t type, uint32_t pointers) {
  if (address == 0) return null_pointer();
  auto* pointer = new (memory_.take(sizeof(KernelPointer))) KernelPointer(address, type, pointers);
  link(pointer, sizeof(KernelPointer));
  return Value::of_object(Type::Pointer, pointer);
}

Value Heap::address(int64_t number) {
  auto* address = new (memory_.take(sizeof(CodeAddress))) CodeAddress(number, &stack_names_);
  link(address, sizeof(CodeAddress));
  return Value::of_object(Type::Address, address);
}

Value Heap::stack(const uint64_t* words, size_t count) {
  KTAP_CHECK(count >= 1);
  size_t used = 1;
  while (used < count && words[used] != 0) ++used;
  const size_t bytes = sizeof(Stack) + used * sizeof(uint64_t);
  auto* stack = new (memory_.take(bytes)) Stack(static_cast<uint32_t>(used));
  stack->names_ = &stack_names_;
  std::memcpy(reinterpret_cast<uint64_t*>(stack + 1), words, used * sizeof(uint64_t));
  stack->hash_ = hash_bytes({reinterpret_cast<const char*>(words), used * sizeof(uint64_t)});
  link(stack, bytes);
  return Value::of_object(Type::Stack, stack);
}

Iterator* Heap::iterator(Table* table) {
  auto* iterator = new (memory_.take(sizeof(Iterator))) Iterator();
  iterator->table = table;
  iterator->cursor = table->begin_walk();
  shade(Value::of_object(Type::Table, table));
  iterator->accounted_bytes_ = sizeof(Iterator);
  link(iterator, iterator->accounted_bytes_);
  return iterator;
}

Iterator* Heap::sorted_iterator(Table* table, std::vector<Value> keys) {
  auto* iterator = new (memory_.take(sizeof(Iterator))) Iterator();
  iterator->table = table;
  iterator->sorted = true;
  shade(Value::of_object(Type::Table, table));
  for (Value key : keys) shade(key);
  iterator->keys = std::move(keys);
  iterator->accounted_bytes_ = sizeof(Iterator) + iterator->keys.capacity() * sizeof(Value);
  link(iterator, iterator->accounted_bytes_);
  return iterator;
}

void Heap::set_roots(std::function<void(Heap&)> roots) { roots_ = std::move(roots); }

void Heap::set_limit_bytes(size_t limit) {
  limit_ = limit;
  plan_next_slice();
}

// ---- marking

void Heap::reach(Object* object) {
  object->mark = current_;
  if (object->type != Type::String) gray_.push_back(object);
}

void Heap::start_cycle() {
  phase_ = Phase::Marking;
  current_ ^= 1;
  if (roots_) roots_(*this);
}

void Heap::mark_children(Object* object, int64_t& units) {
  switch (object->type) {
    case Type::Tuple: {
      auto* tuple = static_cast<Tuple*>(object);
      for (size_t i = 0; i < tuple->size(); ++i) mark((*tuple)[i]);
      units -= static_cast<int64_t>(tuple->size());
      break;
    }
    case Type::Table:
      scanned_ = static_cast<Table*>(object);
      scan_point_ = {};
      break;
    case Type::Function:
      for (Cell* cell : static_cast<Closure*>(object)->upvalues) mark(cell);
      break;
    case Type::SharedVariable:
    case Type::SharedCell:
      mark(*static_cast<Cell*>(object)->slot);
      break;
    case Type::Aggregate:
    case Type::Histogram:
    case Type::Pointer:
    case Type::Address:
    case Type::Stack:
      break;
    case Type::Iterator: {
      auto* iterator = static_cast<Iterator*>(object);
      mark(iterator->table);
      for (Value key : iterator->keys) mark(key);
      units -= static_cast<int64_t>(iterator->keys.size());
      break;
    }
    default:
      KTAP_UNREACHABLE();
  }
}

/// True when all that is reachable from what was marked is marked.
bool Heap::mark_slice(int64_t& units) {
  while (units > 0) {
    if (scanned_ != nullptr) {
      if (!scanned_->scan(*this, scan_point_, units)) return false;
      scanned_ = nullptr;
    } else if (!gray_.empty()) {
      Object* object = gray_.back();
      gray_.pop_back();
      --units;
      mark_children(object, units);
    } else {
      return true;
    }
  }
  return false;
}

/// What the variables hold by now, at once; then nothing unmarked is reachable.
void Heap::finish_marking() {
  if (roots_) roots_(*this);
  int64_t units = INT64_MAX;
  KTAP_CHECK(mark_slice(units));
  phase_ = Phase::Sweeping;
  sweep_at_ = &objects_;
}

// ---- sweeping

void Heap::leave_pool(const String& string) {
  if (!string.interned()) return;
  String** link_to = &pool_[string.hash_ & (pool_.size() - 1)];
  while (*link_to != &string) link_to = &(*link_to)->chain_;
  *link_to = string.chain_;
  --pool_count_;
}

bool Heap::sweep_slice(int64_t& units) {
  while (*sweep_at_ != nullptr) {
    if (units-- <= 0) return false;
    Object* object = *sweep_at_;
    if (object->mark == current_) {
      sweep_at_ = &object->next;
    } else {
      *sweep_at_ = object->next;
      if (object->type == Type::String) leave_pool(*static_cast<String*>(object));
      bytes_ -= destroy(object);
      --object_count_;
    }
  }
  phase_ = Phase::Idle;
  threshold_ = std::max(kFirstThreshold, bytes_ <= SIZE_MAX / 2 ? bytes_ * 2 : SIZE_MAX);
  return true;
}

// ---- the course of a cycle

bool Heap::work(int64_t units) {
  if (phase_ == Phase::Marking) {
    if (!mark_slice(units)) return false;
    finish_marking();
  }
  return sweep_slice(units);
}

void Heap::finish_cycle() {
  if (phase_ != Phase::Idle) KTAP_CHECK(work(INT64_MAX));
}

void Heap::collect() {
  finish_cycle();
  start_cycle();
  finish_cycle();
  plan_next_slice();
}

bool Heap::step() {
#ifdef KTAP_HOSTILE
  // Now a whole collection, now a few slices of almost nothing.
  if (++hostile_turn_ % 4 == 0) {
    collect();
  } else {
    if (phase_ == Phase::Idle) start_cycle();
    work(3);
  }
#else
  if (phase_ == Phase::Idle && bytes_ >= threshold_) {
    start_cycle();
    slice_start_ = bytes_;
  }
  if (phase_ != Phase::Idle) {
    size_t made = bytes_ > slice_start_ ? bytes_ - slice_start_ : 0;
    work(std::min(kMaxSlices, static_cast<int64_t>(made / kSliceBytes) + 1) * kSliceUnits);
  }
#endif
  if (bytes_ > limit_) collect();
  plan_next_slice();
  return bytes_ <= limit_;
}

void Heap::plan_next_slice() {
  slice_start_ = bytes_;
  next_slice_ = phase_ == Phase::Idle ? threshold_ : bytes_ + kSliceBytes;
  if (next_slice_ > limit_) next_slice_ = limit_ + 1;
}

/// Frees the object; returns the bytes that it had been accounted for.
size_t Heap::destroy(Object* object) {
  switch (object->type) {
    case Type::String: {
      size_t bytes = sizeof(String) + static_cast<String*>(object)->size();
      memory_.give(object, bytes);
      return bytes;
    }
    case Type::Tuple: {
      size_t bytes = sizeof(Tuple) + static_cast<Tuple*>(object)->size() * sizeof(Value);
      memory_.give(object, bytes);
      return bytes;
    }
    case Type::Table: {
      auto* table = static_cast<Table*>(object);
      size_t bytes = sizeof(Table) + table->accounted_bytes_;
      table->~Table();
      memory_.give(table, sizeof(Table));
      return bytes;
    }
    case Type::Function: {
      auto* closure = static_cast<Closure*>(object);
      size_t bytes = closure_bytes(*closure);
      memory_.give(closure, bytes);
      return bytes;
    }
    case Type::SharedVariable:
    case Type::SharedCell:
      memory_.give(object, sizeof(Cell));
      return sizeof(Cell);
    case Type::Aggregate: {
      auto* aggregate = static_cast<Aggregate*>(object);
      size_t bytes = sizeof(Aggregate) + aggregate->accounted_bytes_;
      delete aggregate;
      return bytes;
    }
    case Type::Histogram: {
      auto* histogram = static_cast<Histogram*>(object);
      size_t bytes = histogram->memory_bytes();
      delete histogram;
      return bytes;
    }
    case Type::Pointer:
      memory_.give(object, sizeof(KernelPointer));
      return sizeof(KernelPointer);
    case Type::Address:
      memory_.give(object, sizeof(CodeAddress));
      return sizeof(CodeAddress);
    case Type::Stack: {
      const size_t bytes = static_cast<Stack*>(object)->memory_bytes();
      memory_.give(object, bytes);
      return bytes;
    }
    case Type::Iterator: {
      auto* iterator = static_cast<Iterator*>(object);
      size_t bytes = iterator->accounted_bytes_;
      iterator->~Iterator();
      memory_.give(iterator, sizeof(Iterator));
      return bytes;
    }
    default:
      KTAP_UNREACHABLE();
  }
}

}  // namespace ktap::runtime
