// @ts-check
import { bootLinux } from "./linux.mjs";

bootLinux("686", "i686");
