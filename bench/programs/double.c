// Floating point by SSE2.
#define SLOWER 1
#include "floating.inc"
