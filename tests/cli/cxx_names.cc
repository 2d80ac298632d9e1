// Functions whose names are hard to write in event text; each is called ROUNDS times (listing.py).
#include <cstdlib>
#include <map>

#define OWN __attribute__((noinline, used, noipa))

namespace load {

struct Pool {
  int by = 1;
  OWN int take(int a) { return a + by; }
  OWN int take(long a) { return static_cast<int>(a) - by; }
  OWN int give(const char* text) const { return text[0] + by; }
  OWN int give(const char** text) const { return text[0][0] + by; }
  OWN bool operator<(const Pool& other) const { return by < other.by; }
  OWN Pool operator+(const Pool& other) const { return {by + other.by}; }
  OWN int operator()(int a) const { return a + by; }
  OWN int operator[](int a) const { return a - by; }
  OWN Pool* operator->() { return this; }
  OWN explicit operator unsigned long() const { return static_cast<unsigned long>(by); }
};
OWN Pool operator,(const Pool&a, int b) { return {a.by + b}; }

template <class K, class V>
struct Table {
  OWN int find(K key, V value) { return key + (value != V()); }
};

template <class F>
OWN int called(int a, F f) {
  return f(a);
}

static OWN int part(int a) __asm__("_ZN4load4partEi.part.0");
static OWN int part(int a) { return a + 1; }

}  // namespace load

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1;
  const char* text = "x";
  load::Pool pool;
  long sum = 0;
  for (int i = 0; i < rounds; ++i) {
    sum += pool.take(i) + pool.take(3L) + pool.give(text) + pool.give(&text) + pool(1) + pool[1];
    sum += (pool < pool) + (pool + pool).by + pool->by + (pool, 3).by;
    sum += static_cast<long>(static_cast<unsigned long>(pool));
    sum += load::Table<int, char>().find(i, 'a') +
           load::Table<int, std::map<int, long>*>().find(i, nullptr);
    sum += load::called(i, [](int a) { return a + 1; }) + load::part(i);
  }
  return sum == 0;
}
