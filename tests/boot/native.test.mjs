import { bootAll } from "./boots.mjs";

bootAll("native");
