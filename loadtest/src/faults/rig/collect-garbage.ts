/**
 * Loaded before everything else in each process of a cluster under test (`node --import`): collects all garbage every few seconds. Otherwise V8 lets the heap
 * grow while that costs nothing: in ten minutes a shard took 30 % more, although what it used stayed the same.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const everyMs = 5_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
setInterval(collect, everyMs).unref();
