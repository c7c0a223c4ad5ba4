import type { FaultKind } from "../fault.ts";
import { jumpClock } from "./clock.ts";
import { noDescriptors } from "./descriptors.ts";
import { mutated } from "./frames.ts";
import { halfOpen } from "./half-open.ts";
import { killKafka, pauseKafka } from "./kafka.ts";
import { killBalancer, killShard, killSupervisor } from "./kill.ts";
import { fullMemory } from "./memory.ts";
import { pauseBalancer, pauseShard, pauseSupervisor } from "./pause.ts";
import { oneByteWrites, slowBodies, slowHeads } from "./slow.ts";
import { starve } from "./starve.ts";

/** In this order: a new kind goes to the end, or recorded seeds mean other schedules. */
export const faultKinds: readonly FaultKind[] = [
	killShard,
	killBalancer,
	killSupervisor,
	pauseShard,
	pauseBalancer,
	pauseSupervisor,
	starve,
	fullMemory,
	noDescriptors,
	halfOpen,
	slowHeads,
	slowBodies,
	oneByteWrites,
	mutated,
	jumpClock,
	pauseKafka,
	killKafka,
];
