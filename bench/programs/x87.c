// Floating point by the x87: compiled with -mfpmath=387.
#define SLOWER 2
#include "floating.inc"
