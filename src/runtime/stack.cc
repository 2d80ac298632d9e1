// Comparing stacks and naming what lies in them; see stack.h, code_address.h.
#include "runtime/stack.h"

#include <fmt/format.h>
#include <algorithm>

#include "runtime/code_address.h"
#include "runtime/tuple.h"

namespace ktap::runtime {

std::vector<StackFrame> stack_frames(const Stack& stack) {
  if (stack.names() != nullptr) return stack.names()->frames_of(stack);
  std::vector<StackFrame> frames(stack.frame_count());
  for (size_t i = 0; i < frames.size(); ++i)
    frames[i].text = frames[i].function = fmt::format("0x{:x}", stack.frame(i));
  return frames;
}

namespace {

StackFrame place_of(const CodeAddress& address) {
  const auto number = static_cast<uint64_t>(address.number());
  if (address.names() != nullptr) return address.names()->kernel_place(number);
  StackFrame place;
  place.text = place.function = fmt::format("0x{:x}", number);
  return place;
}

}  // namespace

std::string address_text(const CodeAddress& address) { return place_of(address).text; }
std::string address_function(const CodeAddress& address) { return place_of(address).function; }

bool same_stack(const Stack& a, const Stack& b) {
  if (&a == &b) return true;
  return a.hash() == b.hash() && a.word_count() == b.word_count() &&
         std::equal(a.words(), a.words() + a.word_count(), b.words());
}

int compare_stacks(const Stack& a, const Stack& b) {
  const size_t common = std::min(a.word_count(), b.word_count());
  for (size_t i = 0; i < common; ++i) {
    if (a.words()[i] != b.words()[i]) return a.words()[i] < b.words()[i] ? -1 : 1;
  }
  if (a.word_count() == b.word_count()) return 0;
  return a.word_count() < b.word_count() ? -1 : 1;
}

bool has_stack(Value key) {
  if (key.type == Type::Stack) return true;
  if (key.type != Type::Tuple) return false;
  const Tuple& parts = *key.tuple();
  return std::any_of(parts.parts(), parts.parts() + parts.size(),
                     [](const Value& part) { return part.type == Type::Stack; });
}

}  // namespace ktap::runtime
