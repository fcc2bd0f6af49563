import { bootAll } from "./boots.mjs";

bootAll("node");
