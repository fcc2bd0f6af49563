import { bootAlone } from "./boots.mjs";
import { MEMTEST } from "./scenarios.mjs";

bootAlone(MEMTEST);
