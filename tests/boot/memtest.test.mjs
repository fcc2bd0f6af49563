import { bootAlone } from "./boots.mjs";
import { MEMTEST, MEMTEST_PASS } from "./scenarios.mjs";

bootAlone(MEMTEST);
bootAlone(MEMTEST_PASS);
