#!/usr/bin/python3
"""Makes tests/data/x87_exact.txt: operands of the x87's transcendental instructions, and the results that
arithmetic of 500 bits (Debian's python3-mpmath) rounds to 80 bits.

    tests/data/x87_exact.py [CASES A FUNCTION [SEED]] > tests/data/x87_exact.txt

A line is an instruction, the control word, ST0, ST1, and the results from ST0 on, each SIGN-EXPONENT:SIGNIFICAND.
"""
import random
import sys

from mpmath import atan, cos, log, mp, mpf, sin

mp.prec = 500
BIAS, TOP = 0x3FFF, 1 << 63
# The x87's own pi has 66 bits (SDM Vol. 1, 8.3.8): arguments are reduced by it.
PI_66 = mpf(0x3243F6A8885A308D3) / 2**64


def value(f80):
    se, m = f80
    e = max(se & 0x7FFF, 1) - BIAS - 63
    return (-1 if se & 0x8000 else 1) * mpf(m) * mpf(2) ** e


def rounded(v, rc):
    """v as the processor stores it with exceptions masked: rc 0 nearest, 1 down, 2 up, 3 to zero."""
    sign, man, exp, bits = v._mpf_
    if not man:
        return (0, 0)
    negative = bool(sign)
    shift = max(bits - 64, 1 - BIAS - 63 - exp)  # bits to drop; more of them where the result is denormal
    if shift <= 0:
        m, rest, half = man << -shift, 0, 1
    else:
        m, rest, half = man >> shift, man & ((1 << shift) - 1), 1 << (shift - 1)
    up = rest > half or (rest == half and m & 1) if rc == 0 else rest and rc == (1 if negative else 2)
    m, e = m + bool(up), exp + shift
    if m >> 64:
        m, e = m >> 1, e + 1
    biased = e + 63 + BIAS if m & TOP else 0
    if biased >= 0x7FFF:
        infinite = rc == 0 or rc == (1 if negative else 2)
        biased, m = (0x7FFF, TOP) if infinite else (0x7FFE, 2 * TOP - 1)
    return (biased | (0x8000 if negative else 0), m)


def reduced(x):
    """The quadrant of x and what is left of it, by PI_66."""
    q = int(mp.nint(x / (PI_66 / 2)))
    return q & 3, x - q * (PI_66 / 2)


# Where an argument is so small that 500 bits do not tell f(x) from the first term of its series, the first term is
# moved to the side on which f(x) lies: no rounding sees more.
TINY, LESS, MORE = mpf(2) ** -200, 1 - mpf(2) ** -300, 1 + mpf(2) ** -300


def fsin(x):
    q, r = reduced(x)
    s, c = (r * LESS, LESS) if abs(r) < TINY else (sin(r), cos(r))
    return [s, c, -s, -c][q]


def fcos(x):
    q, r = reduced(x)
    s, c = (r * LESS, LESS) if abs(r) < TINY else (sin(r), cos(r))
    return [c, -s, -c, s][q]


def ftan(x):
    q, r = reduced(x)
    return r * MORE if abs(r) < TINY and q % 2 == 0 else fsin(x) / fcos(x)


def log2(x):
    significand, exponent = mp.frexp(x)
    return mpf(exponent - 1) if significand == 0.5 else log(x) / log(2)


def log2_1p(x):
    return x * (LESS if x > 0 else MORE) / log(2) if abs(x) < TINY else log2(1 + x)


def exp2_1m(x):
    return x * log(2) * (MORE if x > 0 else LESS) if abs(x) < TINY else mpf(2) ** x - 1


def angle(x, y):
    """Of the point (x, y), which is not the origin."""
    t = min(abs(x), abs(y)) / max(abs(x), abs(y))
    a = t * LESS if t < TINY else atan(t)
    if abs(y) > abs(x):
        a = mp.pi / 2 - a
    if x < 0:
        a = mp.pi - a
    return -a if y < 0 else a


FUNCTIONS = {
    "F2XM1": lambda x, y: [exp2_1m(x)],
    "FYL2X": lambda x, y: [y * log2(x)],
    "FYL2XP1": lambda x, y: [y * log2_1p(x)],
    "FPATAN": lambda x, y: [angle(x, y)],
    "FSIN": lambda x, y: [fsin(x)],
    "FCOS": lambda x, y: [fcos(x)],
    "FSINCOS": lambda x, y: [fcos(x), fsin(x)],
    "FPTAN": lambda x, y: [mpf(1), ftan(x)],
}


def significand(r):
    kind = r.randrange(6)
    if kind == 0:
        return TOP
    if kind == 1:
        return 2 * TOP - 1 - r.randrange(4)
    if kind == 2:
        return TOP | 1 << r.randrange(63)
    return TOP | r.getrandbits(63)


def operand(r, exponent, sign=None):
    sign = r.getrandbits(1) if sign is None else sign
    return (sign << 15 | exponent, significand(r))


def denormal(r, sign):
    return (sign << 15, r.getrandbits(63) >> r.randrange(62) | 1)


def operands(r, name):
    wide = r.randrange(3) == 0
    x = y = operand(r, BIAS)
    if name == "F2XM1":
        x = operand(r, BIAS - 1 - r.randrange(16300 if wide else 6))
    elif name == "FYL2X":
        kind = r.randrange(6)
        if kind == 0:  # near 1, where the logarithm is small
            x = (BIAS, TOP + (1 << r.randrange(60)) + r.randrange(3)) if r.getrandbits(1) else (
                BIAS - 1, 2 * TOP - 1 - (1 << r.randrange(60)))
        elif kind == 1:
            x = denormal(r, 0)
        elif kind == 2:
            x = operand(r, 1 + r.randrange(0x7FFE), 0)
        else:
            x = operand(r, BIAS - 20 + r.randrange(40), 0)
        if x == (BIAS, TOP):
            x = (BIAS, TOP + 1)
        y = denormal(r, r.getrandbits(1)) if r.randrange(8) == 0 else operand(
            r, 1 + r.randrange(0x7FFE) if wide else BIAS - 40 + r.randrange(80))
    elif name == "FYL2XP1":
        x = operand(r, BIAS - 3 - r.randrange(16300 if wide else 6))
        y = operand(r, 1 + r.randrange(0x7FFE) if r.randrange(3) == 0 else BIAS - 40 + r.randrange(80))
    elif name == "FPATAN":
        e = 1 + r.randrange(0x7FFE) if wide else BIAS - 3 + r.randrange(6)
        near = min(max(e - 70 + r.randrange(140), 1), 0x7FFE) if r.randrange(2) else min(max(e + r.randrange(3) - 1, 1), 0x7FFE)
        x, y = operand(r, e), operand(r, near)
    else:
        kind = r.randrange(6)
        if kind == 0:
            x = operand(r, BIAS - r.randrange(16300))
        elif kind == 1:  # near a multiple of pi / 2
            k = r.randrange(1, 1 << r.randrange(1, 12))
            se, m = rounded(k * (mp.pi / 2), 0)
            x = (se | r.getrandbits(1) << 15, m + r.randrange(5) - 2)
            x = (x[0], min(max(x[1], TOP), 2 * TOP - 1))
        elif kind == 2:
            x = operand(r, BIAS + r.randrange(63))
        else:
            x = operand(r, BIAS - 4 + r.randrange(10))
    return x, y


def text(f80):
    return "%04x:%016x" % f80


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    # Exact results that are denormal, which a random search found; the second of a denormal operand.
    for cw, x, y in (0x0B7F, (1, TOP), (0x8000, 0x56E)), (0x0F7F, (0, 4), (0x8000, 0x3E3A3A)):
        print("FYL2X %04x" % cw, text(x), text(y), text(rounded(value(y) * log2(value(x)), cw >> 10 & 3)))
    for name, function in FUNCTIONS.items():
        for _ in range(count):
            x, y = operands(r, name)
            rc = r.randrange(4)
            results = function(value(x), value(y))
            print(name, "%04x" % (0x37F | rc << 10), text(x), text(y), *[text(rounded(v, rc)) for v in results])


main()
