import type { ShardTrouble } from "../scoreboard-descriptor.ts";
import type { BoardRow } from "./board-row.ts";

/**
 * Sets the troubles of one part of a shard; those of its other parts stay. Called by the shard's process.
 * @param part how the names of its troubles begin. @param troubles with their details; "" = none.
 */
export function showTroubles(
	row: Pick<BoardRow, "troubles" | "troubleDetails">,
	part: "kafka" | "postgres" | "durable",
	troubles: ReadonlyMap<ShardTrouble, string>,
): void {
	const others = row.troubles.filter((name) => !name.startsWith(part));
	const details = [...row.troubleDetails].filter(([name]) => others.includes(name));
	row.troubleDetails = new Map([...details, ...[...troubles].filter(([, detail]) => detail !== "")]);
	row.troubles = [...others, ...troubles.keys()];
}
