// Pointers: one cycle through 8 MiB in random order, and through 256 KiB.
#include "bench.h"

struct Node {
  struct Node* next;
  uint32_t value;
};

static struct Node* make_cycle(struct Node* nodes, uint32_t count) {
  uint32_t* order = allocate(count * sizeof *order);
  for (uint32_t n = 0; n < count; n++) order[n] = n;
  for (uint32_t n = count; n-- > 1;) {
    const uint32_t other = random32() % (n + 1), t = order[n];
    order[n] = order[other];
    order[other] = t;
  }
  for (uint32_t n = 0; n < count; n++) {
    nodes[order[n]].next = &nodes[order[(n + 1) % count]];
    nodes[order[n]].value = n;
  }
  struct Node* first = &nodes[order[0]];
  free(order);
  return first;
}

static uint64_t run(unsigned repeat) {
  const uint32_t large = (8u << 20) / sizeof(struct Node), small = (256u << 10) / sizeof(struct Node);
  struct Node* p = make_cycle(allocate(large * sizeof *p), large);
  struct Node* q = make_cycle(allocate(small * sizeof *q), small);
  uint32_t sum = 0;
  for (unsigned n = 0; n < repeat * 400000; n++) {
    sum += p->value;
    p = p->next;
  }
  for (unsigned n = 0; n < repeat * 4000000; n++) {
    sum += q->value;
    q = q->next;
  }
  // Both sizes of a node walk the same numbers only in part: the sum differs between 32 and 64 bits.
  return sum;
}
