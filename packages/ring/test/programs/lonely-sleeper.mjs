/** A process with nothing to do but sleep. */
import { RingSignal, signalBytes } from "@shardcast/ring";

console.log(await new RingSignal(new SharedArrayBuffer(signalBytes)).sleep(() => false, 200));
