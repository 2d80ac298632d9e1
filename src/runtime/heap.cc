// Mark and sweep, stop the world: marking with an explicit stack, so depth costs no C++ stack.
// Short strings are interned in a chained hash table whose dead members leave it before the sweep.
#include "runtime/heap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/limits.h"
#include "runtime/closure.h"
#include "runtime/iterator.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/tuple.h"

namespace ktap::runtime {
namespace {

constexpr size_t kFirstThreshold = size_t{1}
                                   << 20;  // guessed: a script that makes little never collects

void* allocate(size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) out_of_memory();
  return memory;
}

uint32_t hash_part(Value part) {
  if (part.type == Type::String) return part.string()->hash();
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

Heap::Heap() : threshold_(kFirstThreshold), pool_(256, nullptr) {}

Heap::~Heap() {
  while (objects_ != nullptr) {
    Object* next = objects_->next;
    destroy(objects_);
    objects_ = next;
  }
}

void Heap::link(Object* object, size_t bytes) {
  object->next = objects_;
  objects_ = object;
  bytes_ += bytes;
  ++object_count_;
}

String* Heap::make_string(std::string_view bytes) {
  KTAP_CHECK(bytes.size() < UINT32_MAX);
  size_t size = sizeof(String) + bytes.size();
  auto* string = new (allocate(size)) String();
  string->size_ = static_cast<uint32_t>(bytes.size());
  if (!bytes.empty()) std::memcpy(static_cast<void*>(string + 1), bytes.data(), bytes.size());
  link(string, size);
  return string;
}

String* Heap::intern(std::string_view bytes) {
  uint32_t hash = hash_bytes(bytes);
  for (String* s = pool_[hash & (pool_.size() - 1)]; s != nullptr; s = s->chain_) {
    if (s->hash_ == hash && s->view() == bytes) return s;
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
  auto* tuple = new (allocate(size)) Tuple();
  tuple->size_ = static_cast<uint32_t>(count);
  auto* into = reinterpret_cast<Value*>(tuple + 1);
  uint32_t hash = static_cast<uint32_t>(count);
  for (size_t i = 0; i < count; ++i) {
    KTAP_CHECK(parts[i].type != Type::Tuple);
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
  auto* table = new Table();
  table->heap_bytes_ = &bytes_;
  link(table, sizeof(Table));
  return table;
}

Closure* Heap::closure() {
  auto* closure = new Closure();
  link(closure, sizeof(Closure));
  return closure;
}

Cell* Heap::cell() {
  auto* cell = new Cell();
  link(cell, sizeof(Cell));
  return cell;
}

Iterator* Heap::iterator(Table* table) {
  auto* iterator = new Iterator();
  iterator->table = table;
  iterator->accounted_bytes_ = sizeof(Iterator);
  link(iterator, iterator->accounted_bytes_);
  return iterator;
}

Iterator* Heap::sorted_iterator(Table* table, std::vector<Value> keys) {
  auto* iterator = new Iterator();
  iterator->table = table;
  iterator->sorted = true;
  iterator->keys = std::move(keys);
  iterator->accounted_bytes_ = sizeof(Iterator) + iterator->keys.capacity() * sizeof(Value);
  link(iterator, iterator->accounted_bytes_);
  return iterator;
}

void Heap::set_roots(std::function<void(Heap&)> roots) { roots_ = std::move(roots); }

void Heap::mark(Object* object) {
  if (object == nullptr || object->marked) return;
  object->marked = true;
  if (object->type != Type::String) gray_.push_back(object);
}

void Heap::mark_children(Object* object) {
  switch (object->type) {
    case Type::Tuple: {
      auto* tuple = static_cast<Tuple*>(object);
      for (size_t i = 0; i < tuple->size(); ++i) mark((*tuple)[i]);
      break;
    }
    case Type::Table: {
      auto* table = static_cast<Table*>(object);
      for (uint32_t i = 0; i < table->list_size_; ++i) mark(table->list_[i]);
      for (uint32_t i = 0; i < table->entry_count_; ++i) {
        mark(table->entries_[i].key);  // of dead entries too: lookups still compare with it
        mark(table->entries_[i].value);
      }
      break;
    }
    case Type::Function:
      for (Cell* cell : static_cast<Closure*>(object)->upvalues) mark(cell);
      break;
    case Type::SharedCell: {
      auto* cell = static_cast<Cell*>(object);
      mark(*cell->slot);
      break;
    }
    case Type::Iterator: {
      auto* iterator = static_cast<Iterator*>(object);
      mark(iterator->table);
      for (Value key : iterator->keys) mark(key);
      break;
    }
    default:
      KTAP_UNREACHABLE();
  }
}

void Heap::collect() {
  if (roots_) roots_(*this);
  while (!gray_.empty()) {
    Object* object = gray_.back();
    gray_.pop_back();
    mark_children(object);
  }
  sweep_pool();
  sweep();
  threshold_ = std::max(kFirstThreshold, bytes_ * 2);
}

void Heap::sweep_pool() {
  for (String*& bucket : pool_) {
    String** link_to = &bucket;
    while (*link_to != nullptr) {
      String* string = *link_to;
      if (string->marked) {
        link_to = &string->chain_;
      } else {
        *link_to = string->chain_;
        --pool_count_;
      }
    }
  }
}

void Heap::sweep() {
  Object** link_to = &objects_;
  while (*link_to != nullptr) {
    Object* object = *link_to;
    if (object->marked) {
      object->marked = false;
      link_to = &object->next;
    } else {
      *link_to = object->next;
      bytes_ -= destroy(object);
      --object_count_;
    }
  }
}

/// Frees the object; returns the bytes that it had been accounted for.
size_t Heap::destroy(Object* object) {
  switch (object->type) {
    case Type::String: {
      size_t bytes = sizeof(String) + static_cast<String*>(object)->size();
      std::free(static_cast<void*>(object));
      return bytes;
    }
    case Type::Tuple: {
      size_t bytes = sizeof(Tuple) + static_cast<Tuple*>(object)->size() * sizeof(Value);
      std::free(static_cast<void*>(object));
      return bytes;
    }
    case Type::Table: {
      auto* table = static_cast<Table*>(object);
      size_t bytes = sizeof(Table) + table->accounted_bytes_;
      delete table;
      return bytes;
    }
    case Type::Function:
      delete static_cast<Closure*>(object);
      return sizeof(Closure);
    case Type::SharedCell:
      delete static_cast<Cell*>(object);
      return sizeof(Cell);
    case Type::Iterator: {
      auto* iterator = static_cast<Iterator*>(object);
      size_t bytes = iterator->accounted_bytes_;
      delete iterator;
      return bytes;
    }
    default:
      KTAP_UNREACHABLE();
  }
}

}  // namespace ktap::runtime
