import { readdirSync } from "node:fs";
import { openDescriptors } from "@shardcast/testkit";

/** What a process may have open beyond its part at the start: connections of a request that is being answered, a log file. */
const slackDescriptors = 10;

/** Open descriptors by process name. */
export type Descriptors = ReadonlyMap<string, number>;

export function descriptorsOfAll(pids: ReadonlyMap<string, number>): Descriptors {
	return new Map([...pids].map(([name, pid]) => [name, openDescriptors(pid)]));
}

/** A line for each process that has more open than at the start. Connections of clients may be spread otherwise, so these are left out. */
export function grownDescriptors(before: Descriptors, now: Descriptors, connections: number): string[] {
	return [...now].flatMap(([name, count]) => {
		const known = before.get(name);
		const most = known === undefined ? null : known + slackDescriptors + (name === "supervisor" ? 0 : connections);
		return most !== null && count > most ? [`${name} has ${count} descriptors, ${known} at the start`] : [];
	});
}

/** Files and folders of the clusters in this folder. */
export function leftIn(memory: string): string[] {
	return readdirSync(memory).filter((name) => name.startsWith("shardcast-"));
}
