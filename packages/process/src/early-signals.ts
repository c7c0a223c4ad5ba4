/** For the first lines of a program, before it loads the rest of itself, which takes a second or two. */
export { keepHangUps } from "./hang-up.ts";
export { ignoreSignals } from "./ignore-signals.ts";
