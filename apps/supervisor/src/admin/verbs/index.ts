import type { Workers } from "@shardcast/control";
import type { Verb } from "../verb.ts";
import { cancel } from "./cancel.ts";
import { drain, undrain } from "./drain.ts";
import { kick } from "./kick.ts";
import { logLevel } from "./log-level.ts";
import { rebalance } from "./rebalance.ts";
import { reload } from "./reload.ts";
import { restart } from "./restart.ts";
import { scale } from "./scale.ts";
import { status } from "./status.ts";

/** All verbs, in the order of the help. `../verb.ts` says how to add one. */
export const verbs: readonly Verb[] = [status, reload, logLevel, kick, drain, undrain, restart, scale, rebalance, cancel];

/** @returns the verb of this name that such a cluster has; null if there is none. */
export function verbOf(name: string, workers: Workers): Verb | null {
	return verbs.find((verb) => verb.name === name && verb.workers.includes(workers)) ?? null;
}
