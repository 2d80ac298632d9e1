// Sorting with an order that may fail and may be none at all, as a compare function of a script can
// be: it ends after the same number of comparisons whatever they say, and keeps each item once.
// Private to this folder.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ktap::vm {

/// Stable; a bottom-up merge sort. `before(a, b, &result)` tells whether `a`, which came behind, is
/// to stand before `b`; false when comparing failed, and then so is the result of this.
template <class T, class Before>
bool merge_sort(std::vector<T>& items, Before before) {
  std::vector<T> other(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      size_t middle = std::min(begin + width, items.size());
      size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t into = begin; into < end; ++into) {
        bool take_right = left == middle;
        if (left < middle && right < end && !before(items[right], items[left], &take_right))
          return false;
        other[into] = items[take_right ? right++ : left++];
      }
    }
    items.swap(other);
  }
  return true;
}

}  // namespace ktap::vm
