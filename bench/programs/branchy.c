// Branches: queens on a board of nine, and a scanner that splits made-up program text into tokens.
#include "bench.h"

static unsigned queens(unsigned size, unsigned row, char* columns, char* up, char* down) {
  if (row == size) return 1;
  unsigned found = 0;
  for (unsigned c = 0; c < size; c++) {
    if (columns[c] || up[row + c] || down[row + size - c]) continue;
    columns[c] = up[row + c] = down[row + size - c] = 1;
    found += queens(size, row + 1, columns, up, down);
    columns[c] = up[row + c] = down[row + size - c] = 0;
  }
  return found;
}

enum { kTextBytes = 400000 };

static void make_text(char* text) {
  static const char* const pieces[] = {"while ", "(", ")", "{", "}", "x", "total", "+=", "==", "<", "12", "0x7f", "3.25",
                                       "\"a \\\" string\"", "// remark\n", "/* block * */", " ", "\n", ";", "'c'"};
  size_t at = 0;
  while (at < kTextBytes - 20) {
    const char* piece = pieces[random32() % (sizeof pieces / sizeof *pieces)];
    const size_t n = strlen(piece);
    memcpy(text + at, piece, n);
    at += n;
  }
  memset(text + at, ' ', kTextBytes - at);
}

static uint64_t scan(const char* p, const char* end) {
  uint64_t sum = 0;
  unsigned kinds[8] = {0};
  while (p < end) {
    const char* from = p;
    const char c = *p++;
    unsigned kind;
    if (c == ' ' || c == '\n') {
      continue;
    } else if ((c >= 'a' && c <= 'z') || c == '_') {
      while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_')) p++;
      kind = 0;
    } else if (c >= '0' && c <= '9') {
      kind = 1;
      while (p < end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'x' || (*p >= 'a' && *p <= 'f'))) {
        if (*p == '.') kind = 2;
        p++;
      }
    } else if (c == '"' || c == '\'') {
      while (p < end && *p != c) p += *p == '\\' ? 2 : 1;
      p++;
      kind = 3;
    } else if (c == '/' && p < end && *p == '/') {
      while (p < end && *p != '\n') p++;
      kind = 4;
    } else if (c == '/' && p < end && *p == '*') {
      while (p + 1 < end && !(p[0] == '*' && p[1] == '/')) p++;
      p += 2;
      kind = 5;
    } else {
      if (p < end && *p == '=') p++;
      kind = 6;
    }
    kinds[kind]++;
    sum = mix(sum, kind + 8 * (uint64_t)(p - from));
  }
  for (unsigned k = 0; k < 8; k++) sum = mix(sum, kinds[k]);
  return sum;
}

static uint64_t run(unsigned repeat) {
  uint64_t sum = 0;
  char* text = allocate(kTextBytes);
  make_text(text);
  for (unsigned n = 0; n < repeat * 24; n++) {
    char columns[16] = {0}, up[32] = {0}, down[32] = {0};
    sum = mix(sum, queens(9, 0, columns, up, down));
    sum = mix(sum, scan(text + n, text + kTextBytes));
    sum = mix(sum, scan(text + 2 * n, text + kTextBytes));
  }
  return sum;
}
