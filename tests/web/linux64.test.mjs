// @ts-check
import { bootLinux } from "./linux.mjs";

bootLinux("amd64", "x86_64");
